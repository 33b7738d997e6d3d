//! What a connection makes of bytes, as text, to be compared: what tests and a fuzz target judge by.

use super::{Broken, Gone, Handle, Session, Text, frame};
use crate::{config::Http2Limits, http1::Piece};
use bytes::BytesMut;
use std::{
    cell::RefCell,
    fmt::Write,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Such that when a request is taken makes no difference.
const LIMITS: Http2Limits = Http2Limits {
    concurrent_streams: 5,
    pending_resets: usize::MAX,
    local_resets: 10,
    control_frames: 100,
    stream_window: 70_000,
    connection_window: 100_000,
};

/// Checks that a connection makes the same of `bytes` whether they come at once or in pieces of `size`, and that what is held of
/// bodies is told rightly.
///
/// # Panics
/// When it does not.
pub(crate) fn check(bytes: &[u8], size: usize) {
    let whole = transcript(bytes, bytes.len().max(1));
    assert_eq!(transcript(bytes, size.max(1)), whole);
}

fn transcript(bytes: &[u8], size: usize) -> String {
    let session = Session::new(LIMITS, 2000, Rc::default(), Duration::ZERO);
    let session = Rc::new(RefCell::new(session));
    let mut input = BytesMut::new();
    let mut text = Text::default();
    let mut broken = None;
    for piece in bytes.chunks(size) {
        input.extend_from_slice(piece);
        let received = session
            .borrow_mut()
            .receive(&mut input, &mut text, Duration::ZERO);
        if let Err(Broken(reason, what)) = received {
            broken = Some((reason, what));
            break;
        }
    }
    let mut said = format!("{broken:?}");
    // What came before it broke is told by how much of it came at once.
    if broken.is_none() {
        let _ = write!(said, "\nleft: {:?}", &input[..]);
        requests(&session, &mut said);
    }
    let written = session.borrow_mut().queue.drain();
    let mut rest = &written[..];
    while let Some(head) = frame::Head::read(rest) {
        let (_, after) = rest.split_at(9 + head.length);
        let _ = write!(said, "\n{head:?}");
        rest = after;
    }
    assert!(rest.is_empty(), "whole frames: {rest:?}");
    said
}

/// Takes all requests, with what has come of their bodies.
fn requests(session: &Rc<RefCell<Session>>, said: &mut String) {
    let context = Context::from_waker(Waker::noop());
    let mut held = 0;
    let mut handles = Vec::new();
    loop {
        let Some(arrived) = session.borrow_mut().accept() else {
            break;
        };
        let _ = write!(said, "\n{arrived:?}");
        let handle = Handle::new(session, arrived.stream);
        let mut body = Vec::new();
        let end = loop {
            match handle.poll_piece(&context) {
                Poll::Ready(Ok(Piece::Data(data))) => body.extend_from_slice(&data),
                Poll::Ready(Ok(Piece::Trailers(trailers))) => {
                    let _ = write!(said, "\n{trailers:?}");
                }
                Poll::Ready(Ok(Piece::End)) => break "end",
                Poll::Ready(Err(Gone)) => break "gone",
                Poll::Pending => break "more to come",
            }
        };
        // What was cut off is not given.
        if end != "gone" {
            held += body.len() as u64;
            let _ = write!(said, "\n{end}: {body:?}");
        }
        handles.push(handle);
    }
    let (came, _) = session.borrow().bodies();
    assert!(held <= came, "{held} of {came}");
    drop(handles);
    assert_eq!(session.borrow().bodies().1, 0, "nothing is held");
}
