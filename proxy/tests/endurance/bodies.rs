//! Bodies that no memory would hold.

use crate::{
    asked_for,
    child::{Child, Plan},
    support::{http2, origin, run, wire},
};
use bytes::Bytes;
use http::Request;
use std::{
    io::{Read, Write},
    time::Instant,
};
use tokio::{net::TcpStream, task::spawn_local};

const SIZE: usize = 1 << 30;
const PART: usize = 1 << 16;

/// How much more memory the proxy may hold while a body passes, in KiB.
const MOST: u64 = 16 * 1024;

/// Sends and takes bodies of one GiB by HTTP/1.1 through the proxy to an origin, with a reader who stops now and then.
fn check(what: &str, origin: &origin::Origin, http2: bool) {
    let mut child = Child::start(&Plan {
        endpoint: Some(origin.address),
        http2,
        ..Plan::default()
    });
    assert_eq!(
        wire::Client::connect(child.address)
            .get("/small", "")
            .status(),
        200
    );
    let before = child.resident();
    let mut highest = before;
    let part = vec![1; PART];

    let began = Instant::now();
    let mut client = wire::Client::connect(child.address);
    client.send(format!(
        "POST /take HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n"
    ));
    for n in 0..SIZE / PART {
        client.send(&part);
        if n % 256 == 0 {
            highest = highest.max(child.resident());
        }
    }
    assert_eq!(client.response().status(), 200);
    let up = began.elapsed();

    let began = Instant::now();
    client.send("GET /give HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
    let mut taken = client.ahead();
    let mut bytes = vec![0; PART];
    let mut looks = 0;
    while taken < SIZE {
        let read = client.stream.read(&mut bytes).unwrap();
        assert!(read > 0, "{taken} of {SIZE}");
        taken += read;
        if taken >> 24 > looks {
            looks = taken >> 24;
            // To look at the child's memory is what makes the reader slow.
            (0..50).for_each(|_| highest = highest.max(child.resident()));
        }
    }
    let down = began.elapsed();
    println!(
        "1 GiB, {what}: up in {up:.1?}, down in {down:.1?}, {} KiB more memory at most",
        highest - before
    );
    assert!(highest - before < MOST, "{what}: {} KiB", highest - before);
    drop(client);
    child.is_left_alone();
    assert_eq!(child.counted().failed, 0);
}

/// The same by HTTP/2, where a stream that is not read must not fill the proxy's memory either.
fn check_http2(what: &str, origin: &origin::Origin, to_http2: bool) {
    let mut child = Child::start(&Plan {
        endpoint: Some(origin.address),
        http2: to_http2,
        ..Plan::default()
    });
    assert_eq!(http2::get(child.address, "/small").unwrap().status, 200);
    let before = child.resident();
    let mut highest = before;
    let began = Instant::now();
    run(async {
        let tcp = TcpStream::connect(child.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        // As browsers have it: with the least windows, a GiB waits sixteen thousand times for room.
        let handshake = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .handshake(tcp);
        let (mut sender, connection) = handshake.await.unwrap();
        spawn_local(connection);
        let post = Request::post("http://a/take").header("content-length", SIZE);
        let post = post.body(()).unwrap();
        let (response, mut stream) = sender.send_request(post, false).unwrap();
        let part = Bytes::from(vec![1; PART]);
        for n in 0..SIZE / PART {
            http2::send_part(&mut stream, part.clone()).await.unwrap();
            if n % 256 == 0 {
                highest = highest.max(child.resident());
            }
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);

        let get = Request::get("http://a/give").body(()).unwrap();
        let (response, _) = sender.send_request(get, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let (mut taken, mut looks) = (0, 0);
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            taken += length;
            if taken >> 24 > looks {
                looks = taken >> 24;
                (0..50).for_each(|_| highest = highest.max(child.resident()));
            }
            body.flow_control().release_capacity(length).unwrap();
        }
        assert_eq!(taken, SIZE, "{what}");
    });
    println!(
        "1 GiB, {what}: up and down in {:.1?}, {} KiB more memory at most",
        began.elapsed(),
        highest - before
    );
    assert!(highest - before < MOST, "{what}: {} KiB", highest - before);
    child.is_left_alone();
    assert_eq!(child.counted().failed, 0);
}

/// An origin of HTTP/1.1 that takes and gives a GiB.
fn http1() -> origin::Origin {
    origin::raw(|stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(head) = wire.try_head() {
            let mut length = 2;
            if head.start.contains("/take") {
                let mut left = SIZE - wire.ahead();
                wire.discard();
                let mut bytes = vec![0; PART];
                while left > 0 {
                    let read = wire.stream.read(&mut bytes).unwrap();
                    assert!(read > 0, "{left} bytes are missing");
                    left -= read;
                }
            } else if head.start.contains("/give") {
                length = SIZE;
            }
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
            ));
            let part = vec![1; PART.min(length)];
            for _ in 0..length.div_ceil(PART) {
                if wire.stream.write_all(&part).is_err() {
                    return;
                }
            }
        }
    })
}

/// An origin of HTTP/2 that takes and gives a GiB.
fn http2() -> origin::Origin {
    http2::origin(|request, mut respond| async move {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        let mut taken = 0;
        while let Some(data) = body.data().await {
            let length = data?.len();
            taken += length;
            body.flow_control().release_capacity(length)?;
        }
        assert!(path != "/take" || taken == SIZE);
        let mut stream = respond.send_response(http::Response::new(()), false)?;
        if path == "/give" {
            let part = Bytes::from(vec![1; PART]);
            for _ in 0..SIZE / PART {
                http2::send_part(&mut stream, part.clone()).await?;
            }
        }
        stream.send_data(Bytes::new(), true)
    })
}

#[test]
fn a_gibibyte_passes_in_constant_memory() {
    if !asked_for() {
        return;
    }
    check("HTTP/1.1 to HTTP/1.1", &http1(), false);
    check("HTTP/1.1 to HTTP/2", &http2(), true);
    check_http2("HTTP/2 to HTTP/1.1", &http1(), false);
    check_http2("HTTP/2 to HTTP/2", &http2(), true);
}
