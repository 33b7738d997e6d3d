//! A gRPC client and server (tonic). Messages are bytes as they stand.

use super::origin::on_its_own_runtime;
use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt, stream};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, CompressionEncoding::Gzip, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService},
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

/// Messages that are bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A method of a service.
struct Method<F>(F);

impl<F, A, R, W> Service<Request<A>> for Method<F>
where
    F: FnMut(Request<A>) -> W,
    W: Future<Output = Result<R, Status>>,
{
    type Response = R;
    type Error = Status;
    type Future = W;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> W {
        (self.0)(request)
    }
}

/// What the server has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls that were given up, or whose answer nobody waits for any more.
    pub(crate) abandoned: AtomicUsize,
    /// Calls that hang now.
    pub(crate) hanging: AtomicUsize,
    /// Calls whose messages came compressed.
    pub(crate) compressed: AtomicUsize,
    /// Downloads that have ended, at their end or before.
    pub(crate) downloaded: AtomicUsize,
}

/// The service: `Unary`, `Upload`, `Download`, `Chat`, `Hang`.
#[derive(Clone, Debug, Default)]
struct Echo(Arc<Seen>);

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let seen = Arc::clone(&self.0);
        if request
            .headers()
            .get("grpc-encoding")
            .is_some_and(|it| it == "gzip")
        {
            seen.compressed.fetch_add(1, SeqCst);
        }
        // Whoever takes no compressed answer gets none.
        let mut grpc = Grpc::new(Raw).accept_compressed(Gzip).send_compressed(Gzip);
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
            Ok(match method.as_str() {
                "Unary" => grpc.unary(Method(unary), request).await,
                "Upload" => grpc.client_streaming(Method(upload), request).await,
                "Download" => {
                    let give = Method(move |asked| download(asked, Arc::clone(&seen)));
                    grpc.server_streaming(give, request).await
                }
                "Chat" => grpc.streaming(Method(chat), request).await,
                "Hang" => {
                    let hang = Method(move |_: Request<Bytes>| hang(Arc::clone(&seen)));
                    grpc.unary(hang, request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Gives the message back, or the status that it asks for. Metadata `ask` comes back as `told`, and as the trailer
/// `told-bin`.
async fn unary(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    let ask = request.metadata().get("ask").cloned();
    let message = request.into_inner();
    if let Some(code) = message.strip_prefix(b"status:") {
        let code: i32 = std::str::from_utf8(code).unwrap().parse().unwrap();
        return Err(Status::new(code.into(), "as was asked for: ä"));
    }
    let mut response = Response::new(message);
    if let Some(ask) = ask {
        response.metadata_mut().insert("told", ask);
    }
    Ok(response)
}

/// Tells how many messages came, and their bytes.
async fn upload(request: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let mut messages = request.into_inner();
    let (mut count, mut bytes) = (0, 0);
    while let Some(message) = messages.message().await? {
        count += 1;
        bytes += message.len();
    }
    Ok(Response::new(format!("{count} {bytes}").into()))
}

/// Sends as many messages as the request's first number says, each as long as its second.
async fn download(request: Request<Bytes>, seen: Arc<Seen>) -> Result<Response<Messages>, Status> {
    struct Downloading(Arc<Seen>);
    impl Drop for Downloading {
        fn drop(&mut self) {
            self.0.downloaded.fetch_add(1, SeqCst);
        }
    }
    let downloading = Downloading(seen);
    let asked = String::from_utf8(request.into_inner().to_vec()).unwrap();
    let (count, size) = asked.split_once(' ').unwrap();
    let (count, size): (usize, usize) = (count.parse().unwrap(), size.parse().unwrap());
    let message = Bytes::from(vec![7; size]);
    let messages = stream::iter((0..count).map(move |_| {
        let _ends_with_it = &downloading;
        Ok(message.clone())
    }));
    Ok(Response::new(Box::pin(messages)))
}

/// Gives each message back as it comes. `fail` ends the call with INTERNAL.
async fn chat(request: Request<Streaming<Bytes>>) -> Result<Response<Messages>, Status> {
    let messages = request.into_inner().map(|message| match message {
        Ok(message) if message == "fail" => Err(Status::internal("as was asked for")),
        other => other,
    });
    Ok(Response::new(Box::pin(messages)))
}

/// Never answers.
async fn hang(seen: Arc<Seen>) -> Result<Response<Bytes>, Status> {
    struct Hanging(Arc<Seen>);
    impl Drop for Hanging {
        fn drop(&mut self) {
            self.0.hanging.fetch_sub(1, SeqCst);
            self.0.abandoned.fetch_add(1, SeqCst);
        }
    }
    seen.hanging.fetch_add(1, SeqCst);
    let _hanging = Hanging(seen);
    std::future::pending().await
}

/// Starts a server of `test.Echo`.
pub(crate) fn serve(tls: Option<ServerTlsConfig>) -> (SocketAddr, Arc<Seen>) {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.0);
    let address = on_its_own_runtime(async move |listener| {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let served = server.add_service(echo).serve_with_incoming(incoming);
        served.await.unwrap();
    });
    (address, seen)
}
