//! Well-behaved HTTP/2 on both sides.

use super::{PATIENCE, origin::Origin};
use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response, StatusCode};
use std::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::spawn_local,
    time::timeout,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Sends `request` with `body` over a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    request: Request<()>,
    body: &'static [u8],
) -> Result<Answer, h2::Error> {
    let exchange = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(tcp).await?;
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            // A server that has enough may say so before it has read all.
            let _ = send(&mut stream, Bytes::from_static(body)).await;
        }
        let (head, mut stream) = response.await?.into_parts();
        let body = read(&mut stream).await?;
        connection.abort();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    };
    runtime()
        .block_on(async { timeout(PATIENCE, exchange).await })
        .expect("an answer in time")
}

/// A GET for `path`.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer, h2::Error> {
    let request = Request::get(format!("http://shop.example{path}"));
    ask(address, request.body(()).unwrap(), b"")
}

/// Reads a body to its end.
pub(crate) async fn read(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// Sends a whole body, as there is room for it.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, body: Bytes) -> Result<(), h2::Error> {
    send_part(stream, body).await?;
    stream.send_data(Bytes::new(), true)
}

/// Sends a part of a body, as there is room for it.
pub(crate) async fn send_part(
    stream: &mut SendStream<Bytes>,
    mut part: Bytes,
) -> Result<(), h2::Error> {
    while !part.is_empty() {
        stream.reserve_capacity(part.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.ok_or(h2::Reason::CANCEL)??;
        stream.send_data(part.split_to(room.min(part.len())), false)?;
    }
    Ok(())
}

/// A server that does what `answer` does with each request.
pub(crate) fn origin<F>(
    answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
) -> Origin
where
    F: Future<Output = Result<(), h2::Error>> + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&connections);
    thread::spawn(move || {
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let answer = Arc::new(answer);
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, SeqCst);
                let answer = Arc::clone(&answer);
                spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(tcp).await else {
                        return;
                    };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        spawn_local(answer(request, respond));
                    }
                });
            }
        };
        tokio::task::LocalSet::new().block_on(&runtime(), serve);
    });
    Origin::at(address, connections)
}

/// Answers with `body`.
pub(crate) async fn say(mut respond: SendResponse<Bytes>, body: Bytes) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::OK;
    let mut stream = respond.send_response(response, body.is_empty())?;
    match body.is_empty() {
        true => Ok(()),
        false => send(&mut stream, body).await,
    }
}
