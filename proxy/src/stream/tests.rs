use super::*;
use crate::{
    input::poll_read,
    spares::Spares,
    tls::tests::{connection, secured_pair},
};
use bytes::BytesMut;
use std::future::poll_fn;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::yield_now,
};

/// The two ends of a connection in plain text, and of one over TLS.
async fn pairs() -> [(Stream, Stream); 2] {
    let (client, server) = connection().await;
    [(client.into(), server.into()), secured_pair().await]
}

#[tokio::test]
async fn bytes_pass_in_both_directions_at_once() {
    // More than sockets and TLS hold back.
    let sent: Vec<u8> = (0..4_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    for (client, server) in pairs().await {
        let exchange = async |stream: Stream| {
            let (mut read, mut write) = tokio::io::split(stream);
            let mut received = Vec::new();
            let send = async {
                write.write_all(&sent).await?;
                write.shutdown().await
            };
            tokio::try_join!(send, read.read_to_end(&mut received)).unwrap();
            received
        };
        let (one, two) = tokio::join!(exchange(client), exchange(server));
        assert!(one == sent && two == sent);
    }
}

#[tokio::test]
async fn parts_are_written_together() {
    for (mut client, mut server) in pairs().await {
        assert!(client.is_write_vectored());
        let parts = [IoSlice::new(b"head"), IoSlice::new(b"body")];
        assert_eq!(client.write_vectored(&parts).await.unwrap(), 8);
        client.flush().await.unwrap();
        let mut received = [0; 8];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"headbody");
    }
}

#[tokio::test]
async fn an_end_without_the_closing_alert_is_an_error_over_tls_only() {
    for (client, mut server) in pairs().await {
        let is_tls = client.is_tls();
        // The sockets of both kinds end alike.
        drop(client);
        let read = server.read(&mut [0; 8]).await;
        match read {
            Ok(read) => assert!(!is_tls && read == 0),
            Err(error) => assert!(
                is_tls && error.kind() == io::ErrorKind::UnexpectedEof,
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_stream_tells_what_it_is() {
    let [(plain, _), (client, server)] = pairs().await;
    plain.set_nodelay();
    assert!(plain.tcp().nodelay().unwrap());
    assert!(!plain.is_tls() && plain.peer_certificate().is_none() && plain.alpn().is_none());
    assert!(plain.into_plain().is_ok());
    assert_eq!(server.peer_subject(), None);
    assert_eq!(client.peer_subject().as_deref(), Some("CN=shop.example"));
    assert_eq!(
        (client.tls_version(), server.tls_version()),
        (Some("TLSv1.3"), Some("TLSv1.3"))
    );
    assert!(client.into_plain().is_err() && server.into_plain().is_err());
}

/// A peer that is always ready must not keep a worker to itself.
#[tokio::test]
async fn a_task_that_never_waits_lets_others_go_on() {
    const MOST: usize = 1000;
    let (near, mut far) = connection().await;
    let mut near = Stream::from(near);
    far.write_all(&[0; MOST]).await.unwrap();
    near.tcp().readable().await.unwrap();
    // Within one turn of this task each.
    let read = poll_fn(|context| {
        let (mut byte, spares) = (BytesMut::new(), Spares::default());
        let reads = (0..MOST).take_while(|_| {
            byte.clear();
            poll_read(&mut near, &mut byte, 1, &spares, context).is_ready()
        });
        Poll::Ready(reads.count())
    });
    let read = read.await;
    yield_now().await;
    let written = poll_fn(|context| {
        let writes = (0..MOST).take_while(|_| {
            let write = Pin::new(&mut near).poll_write(context, &[0]);
            write.is_ready()
        });
        Poll::Ready(writes.count())
    });
    let written = written.await;
    for often in [read, written] {
        assert!((1..MOST).contains(&often), "{read} {written}");
    }
}
