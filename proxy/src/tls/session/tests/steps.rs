//! Whatever both ends do in turn, bytes come whole and in order.

use super::{Peer, ServerStream, VERSIONS, agreed, both, holds_nothing, pattern};
use proptest::{collection::vec, prelude::*, sample::select};
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What happens next on a connection.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends so much, in pieces of this size.
    Send(usize, usize),
    /// The server reads once, with so much room.
    Read(usize),
    /// The server writes parts of these lengths.
    Write(Vec<usize>),
    /// The client updates its keys, where the version knows of that.
    Update,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..8000_usize, 20..3000_usize).prop_map(|(length, size)| Step::Send(length, size)),
        (1..20_000_usize).prop_map(Step::Read),
        vec(0..40_000_usize, 1..4).prop_map(Step::Write),
        Just(Step::Update),
    ]
}

async fn take(step: &Step, peer: &mut Peer, server: &mut ServerStream, unread: &mut Vec<u8>) {
    match step {
        Step::Send(length, size) => {
            let sent = pattern(*length);
            peer.write(&sent);
            peer.send(*size).await;
            unread.extend(sent);
        }
        Step::Read(_) if unread.is_empty() => {}
        Step::Read(room) => {
            let mut received = vec![0; *room];
            let read = server.read(&mut received).await.unwrap();
            let expected: Vec<u8> = unread.drain(..read).collect();
            assert!(read > 0 && received[..read] == expected[..]);
        }
        Step::Write(lengths) => {
            let sent = pattern(lengths.iter().sum());
            let mut rest = &sent[..];
            let write = async {
                for &length in lengths {
                    let part = rest.split_off(..length).unwrap();
                    server.write_all(part).await.unwrap();
                }
                server.flush().await.unwrap();
            };
            assert!(both(write, peer.read(sent.len())).await.1 == sent);
        }
        Step::Update if peer.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3) => {
            peer.tls.refresh_traffic_keys().unwrap();
        }
        Step::Update => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn bytes_come_whole_and_in_order(version in select(&VERSIONS[..]), steps in vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let (mut peer, mut server) = agreed(version, usize::MAX).await;
            let mut unread = Vec::new();
            for step in &steps {
                take(step, &mut peer, &mut server, &mut unread).await;
            }
            peer.tls.send_close_notify();
            peer.send(usize::MAX).await;
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            assert!(rest == unread && holds_nothing(&server));
        });
    }
}
