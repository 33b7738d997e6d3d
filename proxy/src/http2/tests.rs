mod heads;
mod model;
mod play;

use super::*;
use crate::{config::Http2Limits, spares::Spares};
use bytes::BytesMut;
use std::{cell::RefCell, rc::Rc, time::Duration};

/// A header block (RFC 7541) of literals that nobody has to remember, all shorter than 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127, "{text}");
        [&[length], text.as_bytes()].concat()
    };
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    fields.iter().flat_map(field).collect()
}

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = frame::head(payload.len(), kind, flags, stream);
    [&head[..], payload].concat()
}

/// A connection whose client has begun, with `limits`.
fn begun(limits: Http2Limits) -> Rc<RefCell<Session>> {
    let mut session = Session::new(limits, 1 << 16, Rc::default(), Duration::ZERO);
    let opening = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(4, 0, 0, &[]),
    ]
    .concat();
    assert_eq!(receive(&mut session, &opening), Ok(0));
    assert!(session.has_begun());
    session.queue.drain();
    Rc::new(RefCell::new(session))
}

/// Has `session` take `bytes`.
fn receive(session: &mut Session, bytes: &[u8]) -> Result<usize, Broken> {
    let mut input = BytesMut::from(bytes);
    session.receive(&mut input, &mut Text::default(), Duration::ZERO)
}

#[test]
fn spares_get_the_memory_back() {
    let spares = Rc::new(Spares::default());
    let limits = Http2Limits::default();
    let mut session = Session::new(limits, 1 << 16, Rc::clone(&spares), Duration::ZERO);
    assert!(session.queue.drain().len() > 9);
    session.rest();
    let mut lent = BytesMut::new();
    spares.lend(&mut lent);
    assert!(lent.capacity() > 0);
}
