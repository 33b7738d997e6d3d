//! Over real sockets, against a client of the library that is driven by hand.

mod peer;
mod steps;

use super::*;
use crate::tls::tests::{config_and_client, connection};
use peer::Peer;
use std::{
    future::Future,
    io::{IoSlice, Read as _},
};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A client and a server of `version` that have agreed, the client's records having come in pieces of `size` bytes.
async fn agreed(
    version: &'static rustls::SupportedProtocolVersion,
    size: usize,
) -> (Peer, ServerStream) {
    let (config, client) = config_and_client(version);
    let (ours, theirs) = connection().await;
    let mut peer = Peer::new(ours, &client);
    let accept = ServerStream::accept(config, theirs, Rc::default());
    let ((), server) = tokio::join!(peer.handshake(size), accept);
    (peer, server.unwrap())
}

/// Runs both until both are done.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    tokio::join!(a, b)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// Nothing is held while nothing waits.
fn holds_nothing(server: &ServerStream) -> bool {
    [&server.incoming, &server.decrypted, &server.outgoing]
        .iter()
        .all(|buffer| buffer.capacity() == 0)
}

#[tokio::test]
async fn bytes_of_any_number_pass_both_ways_and_leave_no_memory_behind() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        assert!(!server.tls().is_handshaking());
        assert_eq!(server.tls().protocol_version(), Some(version.version));
        assert!(holds_nothing(&server));
        for length in [0, 1, 100, 16 * 1024, 16 * 1024 + 1, 1 << 20] {
            let sent = pattern(length);
            let upload = async {
                for piece in sent.chunks(32 * 1024) {
                    peer.write(piece);
                    peer.send(usize::MAX).await;
                }
                peer.read(length).await
            };
            let echo = async {
                let mut received = vec![0; length];
                server.read_exact(&mut received).await.unwrap();
                server.write_all(&received).await.unwrap();
                server.flush().await.unwrap();
                received
            };
            let (back, received) = both(upload, echo).await;
            assert!(received == sent && back == sent, "{version:?} {length}");
            assert!(holds_nothing(&server), "{version:?} {length}");
        }
    }
}

#[tokio::test]
async fn records_may_come_in_pieces_of_any_size() {
    for version in VERSIONS {
        for size in [1, 2, 3, 5, 6, 21, 22, 23, 100, 1000] {
            let (mut peer, mut server) = agreed(version, size).await;
            for word in [&b"one"[..], b"another word", &pattern(300)] {
                peer.write(word);
                let mut received = vec![0; word.len()];
                let (_, read) = both(peer.send(size), server.read_exact(&mut received)).await;
                read.unwrap();
                assert_eq!(received, word, "{version:?} {size}");
            }
            assert!(holds_nothing(&server));
        }
    }
}

#[tokio::test]
async fn a_record_may_be_split_at_every_byte() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        for at in 1.. {
            peer.write(b"word");
            let bytes = peer.ciphertext();
            if at == bytes.len() {
                break;
            }
            let (first, second) = bytes.split_at(at);
            peer.tcp.write_all(first).await.unwrap();
            server.tcp.readable().await.unwrap();
            let mut received = [0; 4];
            let mut read = Box::pin(server.read_exact(&mut received));
            assert!(read.as_mut().now_or_never().is_none(), "{at}");
            peer.tcp.write_all(second).await.unwrap();
            read.await.unwrap();
            assert_eq!(&received, b"word");
            assert!(holds_nothing(&server));
        }
    }
}

trait NowOrNever: Future + Sized {
    /// What it gives when it is polled once.
    fn now_or_never(self) -> Option<Self::Output> {
        let mut this = Box::pin(tokio::task::unconstrained(self));
        let waker = std::task::Waker::noop();
        match this.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

impl<F: Future> NowOrNever for F {}

#[tokio::test]
async fn records_that_come_together_are_read_in_any_steps() {
    for version in VERSIONS {
        for step in [1, 7, 1000, 40_000, 100_000] {
            let (mut peer, mut server) = agreed(version, usize::MAX).await;
            let sent = pattern(30_000);
            for piece in sent.chunks(777) {
                peer.write(piece);
            }
            let read = async {
                let mut received = Vec::new();
                let mut buffer = vec![0; step];
                while received.len() < sent.len() {
                    let read = server.read(&mut buffer).await.unwrap();
                    assert!(read > 0);
                    received.extend_from_slice(&buffer[..read]);
                }
                received
            };
            let (_, received) = both(peer.send(usize::MAX), read).await;
            assert!(received == sent, "{version:?} {step}");
            assert!(holds_nothing(&server));
        }
    }
}

/// The records that `bytes` consist of.
fn records(mut bytes: &[u8]) -> usize {
    let mut records = 0;
    while let [_, _, _, high, low, rest @ ..] = bytes {
        bytes = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
        records += 1;
    }
    records
}

#[tokio::test]
async fn parts_leave_in_as_few_records_as_can_be() {
    const RECORD: usize = 16 * 1024;
    for (lengths, expected) in [
        (&[1, 2, 3][..], 1),
        (&[0, 5, 0], 1),
        (&[RECORD], 1),
        (&[RECORD + 1], 2),
        (&[300, 4 * RECORD, 2], 5),
        (&[RECORD, 3], 2),
        (&[RECORD - 1, 1, RECORD], 2),
        (&[10, 10, RECORD - 20], 1),
    ] {
        // Nothing but what is written comes after the handshake of this version.
        let (mut peer, mut server) = agreed(&rustls::version::TLS12, usize::MAX).await;
        let sent = pattern(lengths.iter().sum());
        let mut rest = &sent[..];
        let parts = lengths.iter().map(|&length| {
            let part = rest.split_off(..length).unwrap();
            IoSlice::new(part)
        });
        let parts: Vec<_> = parts.collect();
        assert!(server.is_write_vectored());
        let write = async {
            let written = server.write_vectored(&parts).await.unwrap();
            assert_eq!(written, sent.len(), "{lengths:?}");
            server.shutdown().await.unwrap();
        };
        let mut bytes = Vec::new();
        both(write, peer.tcp.read_to_end(&mut bytes))
            .await
            .1
            .unwrap();
        let alert = 1;
        assert_eq!(records(&bytes), expected + alert, "{lengths:?}");
        let mut received = Vec::new();
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            peer.tls.read_tls(&mut bytes).unwrap();
            peer.tls.process_new_packets().unwrap();
            let _ = peer.tls.reader().read_to_end(&mut received);
        }
        assert!(received == sent, "{lengths:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_writer_with_little_memory() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        let sent = pattern(16 << 20);
        let mut written = 0;
        while let Some(more) = server.write(&sent[written..]).now_or_never() {
            written += more.unwrap();
        }
        assert!(written < sent.len());
        assert!(server.outgoing.len() <= 80 * 1024);
        assert!(server.flush().now_or_never().is_none());
        let write = async {
            server.write_all(&sent[written..]).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (_, received) = both(write, peer.read(sent.len())).await;
        assert!(received == sent);
        assert!(holds_nothing(&server));
    }
}

#[tokio::test]
async fn the_closing_alert_is_an_end_and_what_follows_is_ignored() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        peer.write(b"last");
        peer.tls.send_close_notify();
        let mut bytes = peer.ciphertext();
        bytes.extend_from_slice(b"no TLS");
        peer.tcp.write_all(&bytes).await.unwrap();
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"last");
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(holds_nothing(&server));
        // It may be answered still.
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(peer.read(6).await, b"answer");
        while peer.receive().await.0 > 0 {}
        assert_eq!(peer.tls.reader().read(&mut [0; 8]).unwrap(), 0);
        let error = server.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn an_end_without_the_closing_alert_is_an_error() {
    for (version, sent) in [(VERSIONS[0], 0), (VERSIONS[1], 0), (VERSIONS[1], 9)] {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        peer.write(b"last");
        peer.send(usize::MAX).await;
        peer.write(b"cut");
        let bytes = peer.ciphertext();
        peer.tcp.write_all(&bytes[..sent]).await.unwrap();
        peer.tcp.shutdown().await.unwrap();
        let mut received = Vec::new();
        for _ in 0..2 {
            let error = server.read_to_end(&mut received).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(received, b"last");
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_the_handshake_is_an_end() {
    let (config, client) = config_and_client(&rustls::version::TLS13);
    for sent in [0, 1, 100, usize::MAX] {
        let (ours, theirs) = connection().await;
        let mut peer = Peer::new(ours, &client);
        let hello = peer.ciphertext();
        let sent = sent.min(hello.len());
        peer.tcp.write_all(&hello[..sent]).await.unwrap();
        peer.tcp.shutdown().await.unwrap();
        let accept = ServerStream::accept(Arc::clone(&config), theirs, Rc::default());
        let error = accept.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{sent}");
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_answered_by_an_alert() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        peer.write(b"good");
        let mut bytes = peer.ciphertext();
        peer.write(b"bad");
        let mut bad = peer.ciphertext();
        *bad.last_mut().unwrap() ^= 1;
        bytes.extend(bad);
        peer.tcp.write_all(&bytes).await.unwrap();
        let mut received = [0; 4];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"good", "what came before is not lost");
        for _ in 0..2 {
            let error = server.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let inner = error.into_inner().unwrap();
            assert_eq!(inner.downcast_ref(), Some(&Error::DecryptError));
        }
        let told = loop {
            if let (_, Err(told)) = peer.receive().await {
                break told;
            }
        };
        let alert = rustls::AlertDescription::BadRecordMac;
        assert_eq!(told, Error::AlertReceived(alert));
        for error in [
            server.write(b"more").await.unwrap_err(),
            server.flush().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        server.shutdown().await.unwrap();
        assert!(holds_nothing(&server));
    }
}

/// RFC 8446 section 6.2.
#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let (config, _) = config_and_client(&rustls::version::TLS13);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[22, 3, 1, 0xFF, 0xFF, 1],
        &[0; 5],
    ] {
        let (mut ours, theirs) = connection().await;
        ours.write_all(bytes).await.unwrap();
        let accept = ServerStream::accept(Arc::clone(&config), theirs, Rc::default());
        let error = accept.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        let mut alert = [0; 7];
        ours.read_exact(&mut alert).await.unwrap();
        assert_eq!((alert[0], alert[5]), (21, 2), "a fatal alert");
    }
}

/// RFC 8446 section 4.6.3.
#[tokio::test]
async fn keys_may_be_updated_by_the_client() {
    let (mut peer, mut server) = agreed(&rustls::version::TLS13, usize::MAX).await;
    for round in 0..40 {
        peer.write(b"before");
        peer.tls.refresh_traffic_keys().unwrap();
        peer.write(b"after");
        peer.send(usize::MAX).await;
        let mut received = [0; 11];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"beforeafter", "{round}");
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(peer.read(6).await, b"answer", "{round}");
        assert!(holds_nothing(&server));
    }
}

/// What a write has to process first is not lost to the reader.
#[tokio::test]
async fn a_write_keeps_what_it_finds_for_the_reader() {
    for version in VERSIONS {
        let (mut peer, mut server) = agreed(version, usize::MAX).await;
        let sent = pattern(3000);
        for piece in sent.chunks(500) {
            peer.write(piece);
        }
        peer.send(usize::MAX).await;
        let mut received = vec![0; 3000];
        server.read_exact(&mut received[..700]).await.unwrap();
        server.write_all(b"meanwhile").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(peer.read(9).await, b"meanwhile");
        server.read_exact(&mut received[700..]).await.unwrap();
        assert!(received == sent);
        assert!(holds_nothing(&server));
    }
}

/// A request may come with the end of the handshake, and so may its end.
#[tokio::test]
async fn what_comes_with_the_end_of_the_handshake_is_not_lost() {
    for version in VERSIONS {
        let (config, client) = config_and_client(version);
        let (ours, theirs) = connection().await;
        let mut peer = Peer::new(ours, &client);
        // Encrypted behind the last message of the handshake.
        peer.write(b"request");
        let accept = ServerStream::accept(config, theirs, Rc::default());
        let talk = async {
            peer.handshake(usize::MAX).await;
            peer.tls.send_close_notify();
            peer.send(usize::MAX).await;
        };
        let ((), server) = both(talk, accept).await;
        let mut received = Vec::new();
        let mut server = server.unwrap();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"request");
        assert!(holds_nothing(&server));
    }
}

#[tokio::test]
async fn a_message_that_never_becomes_whole_is_refused() {
    let (config, _) = config_and_client(&rustls::version::TLS13);
    let (mut ours, theirs) = connection().await;
    let accept = ServerStream::accept(config, theirs, Rc::default());
    let first = [22, 3, 1, 0, 4, 1, 0, 0xFF, 0xFF];
    let send = async {
        ours.write_all(&first).await.unwrap();
        // A byte of the message in each record: it takes six times its length.
        while ours.write_all(&[22, 3, 1, 0, 1, 0]).await.is_ok() {}
    };
    let ((), accepted) = both(send, accept).await;
    let error = accepted.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let inner = error.into_inner().unwrap();
    assert_eq!(inner.downcast_ref(), Some(&Error::PeerSentOversizedRecord));
}
