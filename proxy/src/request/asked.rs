//! A request's head on its way to an endpoint.

use super::{
    forwarded::{new_id, write_told},
    origin_form,
    peer::Peer,
    rewrite,
};
use crate::{
    headers::Upgrade,
    http1::{
        Encoder, Framing, HeadFault, Lines, apart, collect_lines, end_request, write_request,
        write_request_line,
    },
    spares::Spares,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, request::Parts};
use memchr::memchr;
use std::net::IpAddr;
use traffic::{Head, Headers};

/// The head of a request. Its headers stay as they came for as long as nobody looks into more than a few of them.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Method, target, version, and the headers where they are taken apart. It is its owner's, as a head is large to be moved.
    pub(crate) parts: &'a mut Parts,
    peer: &'a Peer,
    form: Form,
    /// Set once what is as it came is ready for an endpoint: the request's id, which is empty where requests have none.
    id: Option<String>,
}

/// How the headers are kept.
#[derive(Debug)]
enum Form {
    /// In the head, to be looked at and to be changed.
    TakenApart,
    /// As lines of HTTP/1.
    Lines(Lines),
}

impl<'a> Asked<'a> {
    /// What came from `peer`, whose headers are `lines`, or in `parts` where there are none.
    pub(crate) fn new(parts: &'a mut Parts, lines: Option<Lines>, peer: &'a Peer) -> Self {
        Self {
            parts,
            peer,
            form: lines.map_or(Form::TakenApart, Form::Lines),
            id: None,
        }
    }

    /// What routes look at, of a request that came from `client` in at `listener`.
    pub(crate) fn seen<'s>(&'s self, client: &'s IpAddr, listener: &'s str) -> Head<'s> {
        Head {
            method: &self.parts.method,
            uri: &self.parts.uri,
            headers: match &self.form {
                Form::TakenApart => Headers::Map(&self.parts.headers),
                Form::Lines(lines) => lines.headers(),
            },
            client,
            listener,
        }
    }

    /// Makes it ready for an endpoint, see [`rewrite`]. What is as it came is left so, as a head that needs more than to be told
    /// of its peer has been taken apart.
    pub(crate) fn rewrite(
        &mut self,
        may_upgrade: bool,
        random: impl FnMut() -> u64,
    ) -> Option<Upgrade> {
        if matches!(self.form, Form::TakenApart) {
            return rewrite(self.parts, self.peer, may_upgrade, random);
        }
        let has_id = self.peer.forwarding.request_id.is_some();
        self.id = Some(if has_id {
            new_id(random)
        } else {
            String::new()
        });
        None
    }

    /// Writes the head for an endpoint that speaks HTTP/1, with a body framed by `framing`, and gives the body's encoder.
    pub(crate) fn write(&self, out: &mut BytesMut, framing: Framing) -> Encoder {
        if matches!(self.form, Form::TakenApart) {
            return write_request(out, self.parts, framing);
        }
        let is_said = self.write_as_it_came(out, framing);
        end_request(out, &self.parts.method, framing, is_said)
    }

    /// Writes the first line and all headers but those that frame the body, unless these are among them as `framing` says:
    /// whether they are.
    fn write_as_it_came(&self, out: &mut BytesMut, framing: Framing) -> bool {
        match &self.form {
            Form::TakenApart => false,
            Form::Lines(lines) => {
                if !lines.has_start() {
                    write_request_line(out, self.parts);
                }
                let is_said = lines.write(out, framing);
                self.write_told(out, lines.host());
                is_said
            }
        }
    }

    fn write_told(&self, out: &mut BytesMut, host: &[u8]) {
        if let Some(id) = &self.id {
            write_told(out, self.peer, host, self.parts.version, id);
        }
    }

    /// Puts the headers into the head, if they are not there: as they came, or as an endpoint gets them if they are ready.
    ///
    /// # Errors
    /// Lines that a map cannot hold. The reader of heads makes none.
    pub(crate) fn take_apart(&mut self, spares: &Spares) -> Result<(), HeadFault> {
        if matches!(self.form, Form::TakenApart) {
            return Ok(());
        }
        let lines = self.id.is_some().then(|| self.written());
        let headers = match (std::mem::replace(&mut self.form, Form::TakenApart), lines) {
            (Form::Lines(lines), None) => collected(&lines.all(), spares)?,
            (_, Some(lines)) => {
                origin_form(self.parts);
                self.parts.version = Version::HTTP_11;
                collected(&lines, spares)?
            }
            (Form::TakenApart, None) => return Ok(()),
        };
        self.parts.headers = headers;
        Ok(())
    }

    /// The header lines, as an endpoint gets them.
    fn written(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write_as_it_came(&mut out, Framing::None);
        let first = memchr(b'\n', &out).map_or(0, |end| end + 1);
        out.freeze().slice(first..)
    }

    /// Lets others use the memory of the headers, which nobody needs any more.
    pub(crate) fn give_back(&mut self, spares: &Spares) {
        spares.put_map(&mut self.parts.headers);
    }
}

/// A map of `lines`.
fn collected(lines: &Bytes, spares: &Spares) -> Result<HeaderMap, HeadFault> {
    let mut map = spares.take_map();
    collect_lines(&apart(lines), &mut map)?;
    Ok(map)
}
