//! A recorder that speaks HTTP/2 by prior knowledge.

use super::{ASKED, Recorder, Seen};
use crate::support::strict::{Message, Next};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Method, Request, Response};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    thread,
};

/// Starts one that writes down what `recorder` tells of. Where it listens.
pub(super) fn start(recorder: &Recorder) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, connections) = (
        Arc::clone(&recorder.seen),
        Arc::clone(&recorder.connections),
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let connection = connections.fetch_add(1, SeqCst);
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                stream.set_nonblocking(true).unwrap();
                runtime.unwrap().block_on(serve(stream, connection, seen));
            });
        }
    });
    address
}

async fn serve(stream: std::net::TcpStream, connection: usize, seen: Arc<Mutex<Vec<Seen>>>) {
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let Ok(mut served) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = served.accept().await {
        tokio::spawn(answer(request, respond, connection, Arc::clone(&seen)));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("", |it| it.as_str());
    let start = format!("{} {target}", head.method);
    let whole = read(body).await;
    let next = match (whole, fault(&head)) {
        (_, Some(fault)) => Next::Invalid(format!("{start}: {fault}")),
        (Ok((body, trailers)), None) => Next::Message(Message {
            start: start.clone(),
            headers: fields(&head.headers),
            body,
            trailers: fields(&trailers),
        }),
        (Err(_), None) => Next::Cut(Message::default()),
    };
    let is_whole = matches!(next, Next::Message(_));
    seen.lock().unwrap().push(Seen { connection, next });
    if is_whole {
        let is_head = head.method == Method::HEAD;
        let answer = Response::builder()
            .header(ASKED, start)
            .header("content-length", 4);
        let answer = answer.body(()).unwrap();
        let mut stream = respond.send_response(answer, is_head).unwrap();
        if !is_head {
            let _ = stream.send_data(Bytes::from_static(b"seen"), true);
        }
    }
}

async fn read(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, body.trailers().await?.unwrap_or_default()))
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_owned())
    };
    headers.iter().map(field).collect()
}

/// What a request by HTTP/2 may not have (RFC 9113 section 8.2.2), that h2 itself lets pass.
fn fault(head: &http::request::Parts) -> Option<String> {
    const FORBIDDEN: [&str; 5] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    let found = FORBIDDEN.iter().find(|it| head.headers.contains_key(**it));
    if let Some(name) = found {
        return Some(format!("it has {name}"));
    }
    if head.headers.contains_key("host") && head.uri.authority().is_some() {
        return Some("it has two hosts".to_owned());
    }
    let te = head.headers.get("te");
    if te.is_some_and(|te| te != "trailers") {
        return Some(format!("its te is {te:?}"));
    }
    if head.headers.get_all("content-length").iter().count() > 1 {
        return Some("it has more than one length".to_owned());
    }
    None
}
