use super::*;
use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpStream, UdpSocket},
    num::NonZeroUsize,
    os::unix::net::UnixListener,
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn config(workers: usize, addresses: &[SocketAddr]) -> Config {
    Config::new(addresses.to_vec(), NonZeroUsize::new(workers).unwrap())
}

fn descriptors(group: &SocketGroup) -> Vec<OwnedFd> {
    let beside = |socket: &TcpListener| socket.try_clone().unwrap().into();
    group.sockets().iter().map(beside).collect()
}

/// The sockets of `before` as another process would get them.
fn handed_on(before: &Listeners) -> Vec<SocketGroup> {
    let hand_on = |group: &SocketGroup| {
        SocketGroup::from_descriptors(group.name(), group.configured(), descriptors(group)).unwrap()
    };
    before.0.iter().map(hand_on).collect()
}

#[test]
fn every_socket_has_a_worker_and_every_worker_one_of_each_listener() {
    for (before, after) in [(1, 1), (1, 3), (3, 2), (3, 1), (2, 4)] {
        let first = Listeners::bind(&config(before, &[LOOPBACK, LOOPBACK])).unwrap();
        let groups = handed_on(&first);
        let second = Listeners::take_over(&config(after, &[LOOPBACK, LOOPBACK]), groups).unwrap();
        assert_eq!(first.addresses(), second.addresses(), "{before} to {after}");
        let dealt = second.deal(after);
        for seated in &dealt {
            for listener in 0..2 {
                let has = seated.iter().any(|seated| seated.listener == listener);
                assert!(has, "{before} to {after}: {dealt:?}");
            }
        }
        let sockets: usize = dealt.iter().map(Vec::len).sum();
        assert_eq!(sockets, 2 * before.max(after), "{before} to {after}");
    }
}

#[test]
fn connections_that_wait_are_handed_on_with_the_socket() {
    let first = Listeners::bind(&config(3, &[LOOPBACK])).unwrap();
    let address = first.addresses()[0];
    let waiting: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let groups = handed_on(&first);
    drop(first);
    let second = Listeners::take_over(&config(1, &[LOOPBACK]), groups).unwrap();
    let mut accepted = 0;
    for seated in second.deal(1).into_iter().flatten() {
        while let Ok((stream, _)) = seated.socket.accept() {
            #[cfg(any(target_os = "android", target_os = "linux"))]
            assert!(stream.nodelay().unwrap());
            drop(stream);
            accepted += 1;
        }
    }
    assert_eq!(accepted, waiting.len());
    for mut stream in waiting {
        assert_eq!(
            stream.read(&mut [0]).unwrap(),
            0,
            "closed in order, not reset"
        );
    }
}

#[test]
fn sockets_that_are_never_started_on_get_no_connection() {
    let first = Listeners::bind(&config(1, &[LOOPBACK])).unwrap();
    let address = first.addresses()[0];
    let second = Listeners::take_over(&config(8, &[LOOPBACK]), handed_on(&first)).unwrap();
    let waiting: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    drop(second);
    for _ in &waiting {
        first.0[0].sockets()[0].accept().unwrap();
    }
    let third = Listeners::take_over(&config(8, &[LOOPBACK]), handed_on(&first)).unwrap();
    third.listen().unwrap();
    assert!(handed_on(&third)[0].sockets().len() == 8, "all listen");
}

#[test]
fn listeners_are_known_by_their_address_and_picked_ports_by_their_name() {
    let first = Listeners::bind(&config(1, &[LOOPBACK, LOOPBACK])).unwrap();
    let bound = first.addresses();
    let mut wanted = config(1, &[bound[1], LOOPBACK, LOOPBACK]);
    wanted.listeners[0].name = "renamed".into();
    wanted.listeners[1].name = "listener-0".into();
    wanted.listeners[2].name = "fresh".into();
    let second = Listeners::take_over(&wanted, handed_on(&first)).unwrap();
    let addresses = second.addresses();
    assert_eq!(addresses[..2], [bound[1], bound[0]]);
    assert!(!bound.contains(&addresses[2]), "{addresses:?}");
    assert_eq!(second.0[0].name(), "renamed");
}

#[test]
fn a_listener_that_vanished_is_closed_when_nobody_has_it() {
    let first = Listeners::bind(&config(2, &[LOOPBACK, LOOPBACK])).unwrap();
    let bound = first.addresses();
    let second = Listeners::take_over(&config(2, &[bound[0]]), handed_on(&first)).unwrap();
    drop(first);
    assert!(TcpStream::connect(bound[0]).is_ok());
    assert!(TcpStream::connect(bound[1]).is_err());
    drop(second);
    assert!(TcpStream::connect(bound[0]).is_err());
}

#[test]
fn an_address_that_another_process_has_is_refused_beside_those_taken_over() {
    let taken = TcpListener::bind(LOOPBACK).unwrap();
    let taken = (taken.local_addr().unwrap(), taken);
    let first = Listeners::bind(&config(1, &[LOOPBACK])).unwrap();
    let wanted = config(1, &[first.addresses()[0], taken.0]);
    let error = Listeners::take_over(&wanted, handed_on(&first)).unwrap_err();
    assert!(matches!(error, StartError::Bind { address, .. } if address == taken.0));
    assert!(
        TcpStream::connect(first.addresses()[0]).is_ok(),
        "the first is not disturbed"
    );
}

#[test]
fn one_address_twice_is_refused() {
    let free = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let error = Listeners::bind(&config(2, &[free, free])).unwrap_err();
    assert!(matches!(error, StartError::Bind { address, .. } if address == free));
}

#[test]
fn descriptors_of_other_kinds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let group = |descriptors| SocketGroup::from_descriptors("http", LOOPBACK, descriptors);
    let tcp = || TcpListener::bind(LOOPBACK).unwrap();
    let listener = tcp();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let others: [(&str, OwnedFd); 4] = [
        ("udp", UdpSocket::bind(LOOPBACK).unwrap().into()),
        (
            "unix",
            UnixListener::bind(folder.path().join("socket"))
                .unwrap()
                .into(),
        ),
        (
            "file",
            std::fs::File::create(folder.path().join("file"))
                .unwrap()
                .into(),
        ),
        ("connection", connection.into()),
    ];
    for (what, descriptor) in others {
        let found = group(vec![tcp().into(), descriptor]);
        assert!(found.is_err(), "{what}: {found:?}");
    }
    assert!(matches!(group(Vec::new()), Err(NoGroup::Empty)));
    let apart = group(vec![tcp().into(), tcp().into()]);
    assert!(matches!(apart, Err(NoGroup::Apart { .. })), "{apart:?}");
    assert_eq!(group(vec![tcp().into()]).unwrap().sockets().len(), 1);
}
