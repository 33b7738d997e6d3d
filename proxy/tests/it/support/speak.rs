//! Clients and origins that speak HTTP/1.1 (hyper) or HTTP/2 (h2), in plain text or under TLS.

use super::origin::on_its_own_runtime;
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Body, Frame};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use std::{
    convert::Infallible,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::spawn_local,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use traffic::policy::Protocol;

/// A socket, whatever it is.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// A request or response with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Of a request: the method; GET for a response.
    pub(crate) method: Method,
    /// Of a request: its target as it came.
    pub(crate) target: String,
    /// Of a response; 200 for a request.
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The pieces of the body as they are sent. What has come is one piece.
    pub(crate) body: Vec<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Statuses of interim answers that came before. HTTP/2 only.
    pub(crate) interim: Vec<StatusCode>,
}

impl Message {
    fn new(method: Method, target: &str, status: u16) -> Self {
        Self {
            method,
            target: target.to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            trailers: None,
            interim: Vec::new(),
        }
    }

    /// A request.
    pub(crate) fn ask(method: &str, path: &str) -> Self {
        Self::new(method.parse().unwrap(), path, 200)
    }

    /// A response.
    pub(crate) fn answer(status: u16) -> Self {
        Self::new(Method::GET, "", status)
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// With a body in these pieces.
    pub(crate) fn body(mut self, pieces: &[&'static str]) -> Self {
        self.body = pieces.iter().map(|&piece| piece.into()).collect();
        self
    }

    /// With one more trailer.
    pub(crate) fn trailer(mut self, name: &'static str, value: &str) -> Self {
        let trailers = self.trailers.get_or_insert_default();
        trailers.append(name, value.parse().unwrap());
        self
    }

    /// The whole body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.concat()).unwrap()
    }

    /// The values of the header `name`.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// The value of the only header `name`.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there twice: {self:?}");
        all.first().copied()
    }

    fn frames(self) -> BoxBody<Bytes, Infallible> {
        let data = self.body.into_iter().map(Frame::data);
        let frames = data.chain(self.trailers.map(Frame::trailers));
        let frames: Vec<_> = frames.map(Ok).collect();
        if frames.is_empty() {
            return http_body_util::Empty::new().boxed();
        }
        BoxBody::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    async fn read<B: Body<Data = Bytes>>(&mut self, body: B) -> Result<(), B::Error> {
        let whole = body.collect().await?;
        self.trailers = whole.trailers().cloned();
        self.body = vec![whole.to_bytes()];
        Ok(())
    }

    async fn read_http2(&mut self, mut body: RecvStream) -> Result<(), h2::Error> {
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            bytes.extend_from_slice(&data);
        }
        self.trailers = body.trailers().await?;
        self.body = vec![bytes.into()];
        Ok(())
    }
}

/// Connects to `address`, under TLS for `name` where `tls` says how.
pub(crate) async fn connect(
    address: SocketAddr,
    tls: Option<(&ClientConfig, &str)>,
) -> std::io::Result<Box<dyn Socket>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let Some((config, name)) = tls else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config.clone()));
    Ok(Box::new(connector.connect(name, tcp).await?))
}

/// A client's connection.
pub(crate) enum Client {
    Http1(hyper::client::conn::http1::SendRequest<BoxBody<Bytes, Infallible>>),
    Http2(h2::client::SendRequest<Bytes>),
}

/// Why there is no answer, or not a whole one.
#[derive(Debug)]
pub(crate) enum Failed {
    Http1(hyper::Error),
    Http2(h2::Error),
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        Self::Http1(error)
    }
}

impl From<h2::Error> for Failed {
    fn from(error: h2::Error) -> Self {
        Self::Http2(error)
    }
}

impl Failed {
    /// Why the stream was reset, in HTTP/2.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(error) => error.reason(),
        }
    }
}

impl Client {
    /// A client that speaks `version` on `socket`.
    pub(crate) async fn begin(version: Version, socket: Box<dyn Socket>) -> Self {
        if version == Version::HTTP_2 {
            let (sender, connection) = h2::client::handshake(socket).await.unwrap();
            spawn_local(connection);
            return Self::Http2(sender);
        }
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(socket));
        let (sender, connection) = handshake.await.unwrap();
        spawn_local(connection);
        Self::Http1(sender)
    }

    /// A client in plain text.
    pub(crate) async fn plain(version: Version, address: SocketAddr) -> Self {
        Self::begin(version, connect(address, None).await.unwrap()).await
    }

    /// Sends `message` to the host `shop.example`, and gives what is answered.
    pub(crate) async fn send(&mut self, message: Message) -> Result<Message, Failed> {
        let mut answer = Message::answer(200);
        match self {
            Self::Http1(sender) => {
                let mut request = Request::builder()
                    .method(&message.method)
                    .uri(&message.target)
                    .body(())
                    .unwrap();
                *request.headers_mut() = message.headers.clone();
                let host = request.headers_mut().entry("host");
                host.or_insert("shop.example".parse().unwrap());
                let frames = message.frames();
                let response = sender.send_request(request.map(|()| frames)).await?;
                let (parts, body) = response.into_parts();
                (answer.status, answer.headers) = (parts.status, parts.headers);
                answer.read(body).await?;
            }
            Self::Http2(sender) => {
                let mut sender = sender.clone().ready().await?;
                let mut request = Request::builder()
                    .method(&message.method)
                    .uri(format!("http://shop.example{}", message.target))
                    .version(Version::HTTP_2)
                    .body(())
                    .unwrap();
                *request.headers_mut() = message.headers;
                let is_bodiless = message.body.is_empty() && message.trailers.is_none();
                let (mut response, mut stream) = sender.send_request(request, is_bodiless)?;
                if !is_bodiless {
                    let is_last = message.trailers.is_none();
                    let mut pieces = message.body.into_iter().peekable();
                    while let Some(piece) = pieces.next() {
                        stream.send_data(piece, is_last && pieces.peek().is_none())?;
                    }
                    if let Some(trailers) = message.trailers {
                        stream.send_trailers(trailers)?;
                    }
                }
                let early = std::future::poll_fn(|context| {
                    while let std::task::Poll::Ready(Some(Ok(early))) =
                        response.poll_informational(context)
                    {
                        answer.interim.push(early.status());
                    }
                    std::pin::Pin::new(&mut response).poll(context)
                });
                let (parts, body) = early.await?.into_parts();
                (answer.status, answer.headers) = (parts.status, parts.headers);
                answer.read_http2(body).await?;
            }
        }
        Ok(answer)
    }

    /// The answer to a request that must have one.
    pub(crate) async fn ask(&mut self, message: Message) -> Message {
        let what = format!("{} {}", message.method, message.target);
        super::soon(&what, self.send(message)).await.expect(&what)
    }
}

/// A server whose requests are written down.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Origin {
    /// The requests that it has got.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request since the last call.
    pub(crate) fn take(&self) -> Message {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

/// A server that speaks `protocol`, under TLS where `tls` says how, and answers what `answer` gives.
pub(crate) fn origin(
    protocol: Protocol,
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&Message) -> Message + Send + 'static,
) -> Origin {
    let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let address = on_its_own_runtime(async move |listener| {
        let answer = Rc::new(move |message: Message| {
            let response = answer(&message);
            kept.lock().unwrap().push(message);
            response
        });
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (tls, answer) = (tls.clone(), Rc::clone(&answer));
            spawn_local(async move {
                tcp.set_nodelay(true).unwrap();
                let socket: Box<dyn Socket> = match tls {
                    None => Box::new(tcp),
                    Some(tls) => match TlsAcceptor::from(tls).accept(tcp).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => return,
                    },
                };
                match protocol {
                    Protocol::Http1 => serve_http1(socket, answer).await,
                    Protocol::Http2 => serve_http2(socket, answer).await,
                }
            });
        }
    });
    Origin { address, seen }
}

async fn serve_http1(socket: Box<dyn Socket>, answer: Rc<impl Fn(Message) -> Message + 'static>) {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let answer = Rc::clone(&answer);
        async move {
            let (parts, body) = request.into_parts();
            let mut message = Message::ask(parts.method.as_str(), &parts.uri.to_string());
            message.headers = parts.headers;
            message.read(body).await?;
            let reply = answer(message);
            let mut response = Response::new(());
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers.clone();
            Ok::<_, hyper::Error>(response.map(|()| reply.frames()))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn serve_http2(socket: Box<dyn Socket>, answer: Rc<impl Fn(Message) -> Message + 'static>) {
    let Ok(mut connection) = Builder::new().handshake::<_, Bytes>(socket).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let answer = Rc::clone(&answer);
        spawn_local(async move {
            let (parts, body) = request.into_parts();
            let mut message = Message::ask(parts.method.as_str(), &parts.uri.to_string());
            message.headers = parts.headers;
            let is_head = message.method == Method::HEAD;
            if message.read_http2(body).await.is_ok() {
                let mut reply = answer(message);
                if is_head {
                    (reply.body, reply.trailers) = (Vec::new(), None);
                }
                let _ = reply_http2(respond, reply);
            }
        });
    }
}

/// Answers a request on an HTTP/2 stream.
pub(crate) fn reply_http2(
    mut respond: SendResponse<Bytes>,
    reply: Message,
) -> Result<(), h2::Error> {
    for status in reply.interim {
        let mut early = Response::new(());
        *early.status_mut() = status;
        respond.send_informational(early)?;
    }
    let mut response = Response::new(());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let is_bodiless = reply.body.is_empty() && reply.trailers.is_none();
    let mut stream = respond.send_response(response, is_bodiless)?;
    if is_bodiless {
        return Ok(());
    }
    let is_last = reply.trailers.is_none();
    let mut pieces = reply.body.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        stream.send_data(piece, is_last && pieces.peek().is_none())?;
    }
    if let Some(trailers) = reply.trailers {
        stream.send_trailers(trailers)?;
    }
    Ok(())
}
