//! Frames that come, and what a connection says to them.

use super::*;
use crate::http1::Piece;
use h2::Reason;
use std::task::{Context, Poll, Waker};

const END: u8 = 1;
const WHOLE: u8 = 4;

/// The head of a POST, that says `more`.
fn post(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ];
    frame(1, flags | WHOLE, stream, &block(&[&usual, more].concat()))
}

fn number(kind: u8, stream: u32, number: u32) -> Vec<u8> {
    frame(kind, 0, stream, &number.to_be_bytes())
}

fn data(stream: u32, flags: u8, length: usize) -> Vec<u8> {
    frame(0, flags, stream, &vec![7; length])
}

/// Takes all requests that have come.
fn accept(session: &Rc<RefCell<Session>>) -> Vec<Handle> {
    let mut handles = Vec::new();
    loop {
        let Some(arrived) = session.borrow_mut().accept() else {
            return handles;
        };
        handles.push(Handle::new(session, arrived.stream));
    }
}

/// The frames that wait, as kind, stream and first number.
fn said(session: &Rc<RefCell<Session>>) -> Vec<(u8, u32, u32)> {
    let bytes = session.borrow_mut().queue.drain();
    let mut rest = &bytes[..];
    let mut said = Vec::new();
    while let Some(head) = frame::Head::read(rest) {
        let payload = &rest[9..9 + head.length];
        said.push((head.kind, head.stream, frame::number(payload).unwrap_or(0)));
        rest = &rest[9 + head.length..];
    }
    assert!(rest.is_empty());
    said
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Has a connection with `limits` take `frames`: what it says, or why it ends.
fn check(limits: Http2Limits, frames: &[Vec<u8>], expected: Result<&[(u8, u32, u32)], Reason>) {
    let session = begun(limits);
    let mut handles = Vec::new();
    let mut ended = None;
    for frame in frames {
        let received = receive(&mut session.borrow_mut(), frame);
        if let Err(Broken(reason, _)) = received {
            ended = Some(reason);
            break;
        }
        handles.extend(accept(&session));
    }
    match (ended, expected) {
        (Some(reason), expected) => assert_eq!(Err(reason), expected, "{frames:?}"),
        (None, expected) => assert_eq!(expected, Ok(&*said(&session)), "{frames:?}"),
    }
}

#[test]
fn what_ends_a_stream_ends_no_other() {
    const RST: u8 = 3;
    let error = |reason: Reason| u32::from(reason);
    let protocol = error(Reason::PROTOCOL_ERROR);
    let one = Http2Limits {
        concurrent_streams: 1,
        ..Http2Limits::default()
    };
    let usual = Http2Limits::default();
    for (limits, frames, reason) in [
        (
            usual,
            vec![post(1, END, &[("content-length", "1")])],
            protocol,
        ),
        (
            usual,
            vec![post(1, 0, &[("content-length", "1")]), data(1, END, 2)],
            protocol,
        ),
        (
            usual,
            vec![post(1, 0, &[("content-length", "3")]), data(1, END, 2)],
            protocol,
        ),
        (usual, vec![post(1, 0, &[("X", "y")])], protocol),
        (usual, vec![post(1, 0, &[]), number(8, 1, 0)], protocol),
        (
            usual,
            vec![post(1, 0, &[]), number(8, 1, frame::MOST)],
            error(Reason::FLOW_CONTROL_ERROR),
        ),
        (
            usual,
            vec![post(1, END, &[]), data(1, 0, 1)],
            error(Reason::STREAM_CLOSED),
        ),
        (usual, vec![post(1, 0, &[]), post(1, 0, &[])], protocol),
        (usual, vec![frame(2, 0, 1, &[0, 0, 0, 1, 0])], protocol),
        (
            usual,
            vec![frame(2, 0, 1, &[0])],
            error(Reason::FRAME_SIZE_ERROR),
        ),
        (
            one,
            vec![post(3, END, &[]), post(5, END, &[])],
            error(Reason::REFUSED_STREAM),
        ),
    ] {
        let stream = if limits == one { 5 } else { 1 };
        check(limits, &frames, Ok(&[(RST, stream, reason)]));
    }
}

#[test]
fn what_ends_the_connection() {
    let protocol = Reason::PROTOCOL_ERROR;
    let whole = post(1, END, &[]);
    for (frames, reason) in [
        (vec![post(2, END, &[])], protocol),
        (vec![post(3, END, &[]), whole.clone()], protocol),
        (vec![data(1, 0, 1)], protocol),
        (vec![data(0, 0, 1)], protocol),
        (vec![data(0, 0, 10_000)], protocol),
        (vec![number(3, 1, 8)], protocol),
        (vec![number(8, 1, 1)], protocol),
        (vec![number(8, 0, 0)], protocol),
        (vec![number(8, 0, frame::MOST)], Reason::FLOW_CONTROL_ERROR),
        (vec![frame(5, 0, 1, &[0; 4])], protocol),
        (vec![frame(9, WHOLE, 1, &[])], protocol),
        (vec![frame(1, 0, 1, &[]), frame(6, 0, 0, &[0; 8])], protocol),
        (vec![frame(1, 0, 1, &[]), data(1, 0, 10_000)], protocol),
        (vec![frame(1, WHOLE, 1, &[0x80])], Reason::COMPRESSION_ERROR),
        // Padding beyond the payload.
        (vec![whole.clone(), frame(0, 8, 1, &[2, 0])], protocol),
        (vec![frame(4, 0, 0, &[0; 5])], Reason::FRAME_SIZE_ERROR),
        (vec![frame(4, 1, 0, &[0; 6])], Reason::FRAME_SIZE_ERROR),
        (vec![frame(4, 0, 0, &[0, 2, 0, 0, 0, 2])], protocol),
        (
            vec![frame(4, 0, 0, &[0, 4, 0x80, 0, 0, 0])],
            Reason::FLOW_CONTROL_ERROR,
        ),
        (vec![frame(4, 0, 0, &[0, 5, 0, 0, 0, 0])], protocol),
        (vec![frame(6, 0, 0, &[0; 7])], Reason::FRAME_SIZE_ERROR),
        (vec![frame(7, 0, 0, &[0; 4])], Reason::FRAME_SIZE_ERROR),
        (
            vec![vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0]],
            Reason::FRAME_SIZE_ERROR,
        ),
    ] {
        check(Http2Limits::default(), &frames, Err(reason));
    }
}

#[test]
fn what_costs_a_client_nothing_is_bounded() {
    let limits = Http2Limits {
        control_frames: 10,
        pending_resets: 3,
        local_resets: 4,
        ..Http2Limits::default()
    };
    let calm = Reason::ENHANCE_YOUR_CALM;
    let stream = |n: usize| 2 * n as u32 + 1;
    let ping = frame(6, 1, 0, &[0; 8]);
    check(limits, &vec![ping.clone(); 9], Ok(&[]));
    check(limits, &vec![ping; 12], Err(calm));
    // Reset before anybody looked at them.
    let reset = |n| [post(stream(n), END, &[]), number(3, stream(n), 8)].concat();
    check(limits, &[(0..3).flat_map(reset).collect()], Ok(&[]));
    check(limits, &[(0..4).flat_map(reset).collect()], Err(calm));
    // Reset for what they are.
    let bad = |n| post(stream(n), END, &[("X", "y")]);
    let bad: Vec<_> = (0..5).map(bad).collect();
    check(limits, &bad, Err(calm));
    // Heads that never end, and such that decode to too much.
    let more = frame(9, 0, 1, &[0; 16 * 1024]);
    let endless = [vec![frame(1, 0, 1, &[])], vec![more; 9]].concat();
    check(limits, &endless, Err(calm));
}

#[test]
fn what_a_reset_stream_still_gets_counts_for_nothing() {
    let limits = Http2Limits::default();
    let session = begun(limits);
    let take = |bytes: Vec<u8>| receive(&mut session.borrow_mut(), &bytes);
    take(post(1, 0, &[])).unwrap();
    drop(accept(&session));
    assert_eq!(said(&session), [(3, 1, 8)], "nobody answers it");
    for bytes in [
        data(1, 0, 10_000),
        data(1, 0, 10),
        number(8, 1, 5),
        post(1, END, &[]),
    ] {
        take(bytes).unwrap();
    }
    assert_eq!(session.borrow().bodies(), (10_010, 0));
    assert_eq!(said(&session), []);
    // One that both sides are done with.
    take(post(3, END, &[])).unwrap();
    let handles = accept(&session);
    for handle in &handles {
        let answer = http::HeaderMap::new();
        handle.send_trailers(&answer).unwrap();
    }
    drop(handles);
    assert_eq!(said(&session).len(), 1);
    take(number(8, 3, 5)).unwrap();
    let broken = take(post(3, END, &[])).unwrap_err();
    assert_eq!(broken.0, Reason::STREAM_CLOSED);
}

#[test]
fn a_body_comes_with_its_padding_and_makes_room_when_it_is_read() {
    let limits = Http2Limits {
        stream_window: 1000,
        ..Http2Limits::default()
    };
    let session = begun(limits);
    let take = |bytes: Vec<u8>| receive(&mut session.borrow_mut(), &bytes);
    // The client knows of the window from then on.
    take(frame(4, 1, 0, &[])).unwrap();
    take(post(1, 0, &[])).unwrap();
    let handles = accept(&session);
    let [handle] = &handles[..] else { panic!() };
    assert_eq!(handle.poll_piece(&context()), Poll::Pending);
    let padded = [&[99][..], &[7; 300], &[0; 99]].concat();
    take(frame(0, 8, 1, &padded)).unwrap();
    assert_eq!(session.borrow().bodies(), (400, 300));
    take(data(1, 0, 500)).unwrap();
    let Poll::Ready(Ok(Piece::Data(piece))) = handle.poll_piece(&context()) else {
        panic!()
    };
    assert_eq!(piece, vec![7; 800]);
    assert_eq!(said(&session), [(8, 1, 900)], "padding included");
    take(frame(1, WHOLE | END, 1, &block(&[("sum", "1")]))).unwrap();
    assert!(matches!(
        handle.poll_piece(&context()),
        Poll::Ready(Ok(Piece::Trailers(_)))
    ));
    assert_eq!(handle.poll_piece(&context()), Poll::Ready(Ok(Piece::End)));
    // More than it was told that it may send.
    take(post(3, 0, &[])).unwrap();
    let other = accept(&session);
    take(data(3, 0, 1001)).unwrap();
    let reason = Reason::FLOW_CONTROL_ERROR.into();
    assert_eq!(said(&session), [(3, 3, reason)]);
    assert_eq!(other[0].poll_piece(&context()), Poll::Ready(Err(Gone)));
}

#[test]
fn the_end_is_told_before_it_comes() {
    let session = begun(Http2Limits::default());
    let take = |bytes: Vec<u8>| receive(&mut session.borrow_mut(), &bytes);
    take(post(1, END, &[])).unwrap();
    let first = accept(&session);
    session.borrow_mut().end_in_order();
    assert_eq!(
        said(&session),
        [(7, 0, frame::MOST), (6, 0, u32::from_be_bytes(*b"fare"))]
    );
    // Begun before the client knew.
    take(post(3, END, &[])).unwrap();
    let second = accept(&session);
    assert_eq!(second.len(), 1);
    take(frame(6, 1, 0, b"farewell")).unwrap();
    assert_eq!(said(&session), [(7, 0, 3)]);
    take(post(5, 0, &[])).unwrap();
    take(data(5, END, 5)).unwrap();
    assert_eq!(accept(&session).len(), 0);
    assert_eq!(said(&session), []);
    drop(first);
    assert!(!session.borrow().is_over());
    drop(second);
    assert!(session.borrow().is_over());
}

#[test]
fn a_head_larger_than_a_frame_goes_out_in_several() {
    let session = begun(Http2Limits::default());
    receive(&mut session.borrow_mut(), &post(1, END, &[])).unwrap();
    let handles = accept(&session);
    let mut headers = http::HeaderMap::new();
    for n in 0..5_u8 {
        let name = format!("x-{n}").parse::<http::HeaderName>().unwrap();
        headers.insert(name, "\u{7e}".repeat(9000).parse().unwrap());
    }
    let head = AnswerHead {
        status: http::StatusCode::OK,
        headers: &headers,
        lines: None,
        length: None,
    };
    handles[0].send_head(&head, true).unwrap();
    let bytes = session.borrow_mut().queue.drain();
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    let mut block = Vec::new();
    while let Some(head) = frame::Head::read(rest) {
        frames.push((head.kind, head.flags, head.length <= 16 * 1024));
        block.extend_from_slice(&rest[9..9 + head.length]);
        rest = &rest[9 + head.length..];
    }
    assert_eq!(frames, [(1, 1, true), (9, 0, true), (9, 4, true)]);
    let mut fields = 0;
    let mut decoder = crate::hpack::Decoder::new(4096);
    decoder
        .decode(&block, &mut Vec::new(), |_| fields += 1)
        .unwrap();
    assert_eq!(fields, 6);
}
