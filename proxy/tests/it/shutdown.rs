//! How the proxy begins and ends.

use crate::support::{PATIENCE, eventually, origin, world};
use proxy::{Clock, Config, StartError};
use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use traffic::Routes;

#[test]
fn what_is_under_way_is_finished_and_nothing_new_is_taken() {
    let (answer, answers) = mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let origin = origin::after_head(move |wire| {
        answers.lock().unwrap().recv().unwrap();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    // One worker: with two, a connection may be refused by the one while the other has yet to be told.
    let world = world::start();
    world.serve(&[origin.address]);
    let address = world.address();
    let mut idle = world.connect();
    let mut busy = world.connect();
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is under way", || world.in_flight() == 1);
    let drained = thread::spawn(move || world.shutdown(PATIENCE));
    assert!(idle.is_closed());
    eventually("connections are refused", || {
        TcpStream::connect(address).is_err()
    });
    answer.send(()).unwrap();
    let response = busy.response();
    assert_eq!(
        (response.text(), response.header("connection")),
        ("ok", Some("close"))
    );
    assert!(busy.is_closed());
    assert_eq!(drained.join().unwrap().cut, 0);
}

#[test]
fn what_is_not_finished_by_the_deadline_is_cut_and_counted_as_cancelled() {
    let origin = origin::after_head(|wire| while !wire.is_closed() {});
    let tunnel = origin::answering(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    let world = world::start_with(2, |_| {});
    world.serve(&[tunnel.address]);
    let mut tunnelled = world.connect();
    tunnelled.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(tunnelled.response_head().status(), 101);
    world.serve(&[origin.address]);
    let mut busy = world.connect();
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the request is under way", || world.in_flight() == 1);
    let stats = Arc::clone(&world.stats);
    assert_eq!(world.shutdown(Duration::from_millis(100)).cut, 2);
    assert!(busy.is_closed() && tunnelled.is_closed());
    let totals = stats.all()[0].totals();
    assert_eq!(
        (totals.cancelled, totals.failed, totals.in_flight),
        (1, 0, 0)
    );
}

#[test]
fn workers_that_have_ended_hold_no_table_up() {
    let world = world::start_with(2, |_| {});
    let routes = Arc::clone(&world.routes);
    assert!(routes.acknowledged().is_some());
    world.shutdown(PATIENCE);
    assert_eq!(routes.acknowledged(), None);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let config = Config::new(vec![address], NonZeroUsize::MIN);
    let error = proxy::start(&config, &Arc::new(Routes::default()), Clock::start()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    let world = world::start();
    let config = Config::new(vec![world.address()], NonZeroUsize::MIN);
    let routes = Arc::new(Routes::default());
    let error = proxy::start(&config, &routes, Clock::start()).unwrap_err();
    assert!(matches!(error, StartError::Bind { address, .. } if address == world.address()));
    assert_eq!(routes.acknowledged(), None, "no worker was started");
}
