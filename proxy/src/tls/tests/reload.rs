use super::*;
use crate::tls::Watch;
use rustls::{HandshakeKind, client::Resumption};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

#[tokio::test]
async fn new_files_are_taken_up_and_bad_ones_are_not() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let [old, new] = [(); 2].map(|()| authority.sign(&["shop.example"]));
    let server =
        ServerTls::load(&listener_tls(vec![folder.certificate("shop", &old)]), true).unwrap();
    let mut client = authority.client();
    // A session that goes on shows no certificate.
    client.resumption = Resumption::disabled();
    let client = Arc::new(client);
    let shown = async || meet(server.config(), &client, "shop.example").await.shown();
    assert!(!server.reload().unwrap(), "nothing has changed");
    folder.write("shop.crt", &new.chain);
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
    assert!(!server.reload().unwrap(), "told once");
    assert_eq!(shown().await, old.der());
    folder.write("shop.key", &new.key);
    assert!(server.reload().unwrap());
    assert_eq!(shown().await, new.der());
    for bad in ["", "junk", &new.chain[..90]] {
        folder.write("shop.crt", bad);
        server.reload().unwrap_err();
        assert_eq!(shown().await, new.der());
    }
    fs::remove_file(folder.path("shop.crt")).unwrap();
    server.reload().unwrap_err();
    assert_eq!(shown().await, new.der());
}

#[test]
fn certificates_of_a_listener_change_together() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pairs = [
        authority.sign(&["a.example"]),
        authority.sign(&["b.example"]),
    ];
    let certificates = vec![
        folder.certificate("a", &pairs[0]),
        folder.certificate("b", &pairs[1]),
    ];
    let server = ServerTls::load(&listener_tls(certificates), true).unwrap();
    let before = server.config();
    folder.certificate("a", &authority.sign(&["a.example"]));
    folder.write("b.key", "junk");
    server.reload().unwrap_err();
    assert!(
        Arc::ptr_eq(&before, &server.config()),
        "not even the good one"
    );
}

#[tokio::test]
async fn tickets_outlive_new_certificates_but_not_new_authorities() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), Folder::new());
    let mut tls = listener_tls(vec![
        folder.certificate("shop", &authority.sign(&["shop.example"])),
    ]);
    tls.client = clients(&folder.write("clients.pem", authority.pem()), true);
    let server = ServerTls::load(&tls, true).unwrap();
    let client = Arc::new(authority.client_with(Some(&authority.sign(&["alice"]))));
    let meet = async || meet(server.config(), &client, "shop.example").await;
    meet().await.server.unwrap();
    folder.certificate("shop", &authority.sign(&["shop.example"]));
    assert!(server.reload().unwrap());
    let met = meet().await;
    let kind = met.client.unwrap().get_ref().1.handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
    assert_eq!(
        met.server.unwrap().peer_subject().as_deref(),
        Some("CN=alice")
    );
    folder.write("clients.pem", other.pem());
    assert!(server.reload().unwrap());
    let met = meet().await;
    assert!(
        met.complaint().contains("UnknownIssuer"),
        "{}",
        met.complaint()
    );
}

#[tokio::test]
async fn connections_that_are_open_go_on() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = {
        let certificate = folder.certificate("shop", &authority.sign(&["shop.example"]));
        ServerTls::load(&listener_tls(vec![certificate]), true).unwrap()
    };
    let met = meet(
        server.config(),
        &Arc::new(authority.client()),
        "shop.example",
    )
    .await;
    let (mut ours, mut theirs) = (met.client.unwrap(), met.server.unwrap());
    folder.certificate("shop", &authority.sign(&["shop.example"]));
    assert!(server.reload().unwrap());
    ours.write_all(b"still here").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut read = Vec::new();
    theirs.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"still here");
}

#[test]
fn no_handshake_fails_while_files_are_replaced() {
    const ROUNDS: u64 = 40;
    let (authority, folder) = (Authority::new(), Folder::new());
    let tls = Arc::new(Tls::load(&[https(&folder, &authority.sign(&["shop.example"]))]).unwrap());
    let client = Arc::new(authority.client());
    let (is_over, met) = (AtomicBool::new(false), AtomicUsize::new(0));
    let handshakes = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while !is_over.load(Relaxed) {
            let config = tls.server(0).unwrap().config();
            let both = runtime.block_on(meet(config, &client, "shop.example"));
            both.client.unwrap();
            both.server.unwrap();
            met.fetch_add(1, Relaxed);
        }
    };
    let replace = || {
        for round in 0..ROUNDS {
            let pair = authority.sign(&["shop.example"]);
            let before = met.load(Relaxed);
            // In the worst way: in place, a half first, and the chain long before the key.
            fs::write(folder.path("shop.crt"), &pair.chain[..200]).unwrap();
            tls.reload();
            fs::write(folder.path("shop.crt"), &pair.chain).unwrap();
            tls.reload();
            fs::write(folder.path("shop.key"), &pair.key).unwrap();
            tls.reload();
            assert_eq!(
                (tls.reloads(), tls.failures()),
                (round + 1, 2 * (round + 1))
            );
            while met.load(Relaxed) < before + 4 && !is_over.load(Relaxed) {
                thread::yield_now();
            }
        }
    };
    thread::scope(|scope| {
        let load = [scope.spawn(handshakes), scope.spawn(handshakes)];
        let replaced = scope.spawn(replace);
        let replaced = replaced.join();
        is_over.store(true, Relaxed);
        for ended in load {
            ended.join().expect("no handshake fails");
        }
        replaced.expect("every replacement is taken up");
    });
}

#[test]
fn the_watch_sees_a_change_and_ends_when_dropped() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let tls = Arc::new(Tls::load(&[https(&folder, &authority.sign(&["shop.example"]))]).unwrap());
    let watch = Watch::start(Arc::clone(&tls), Duration::from_millis(1)).unwrap();
    folder.write("shop.key", "junk");
    while tls.failures() == 0 {
        thread::yield_now();
    }
    folder.certificate("shop", &authority.sign(&["shop.example"]));
    while tls.reloads() == 0 {
        thread::yield_now();
    }
    drop(watch);
    assert_eq!(Arc::strong_count(&tls), 1, "the thread is gone");
}
