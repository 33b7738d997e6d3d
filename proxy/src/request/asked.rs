//! A request's head on its way to an endpoint.

use super::{
    forwarded::{new_id, write_told},
    peer::Peer,
    rewrite,
};
use crate::{
    headers::Upgrade,
    http1::{HeadFault, Lines, collect_lines},
    spares::Spares,
};
use bytes::BytesMut;
use http::request::Parts;
use std::net::IpAddr;
use traffic::{Head, Headers};

/// The head of a request. Its headers stay lines for as long as nobody looks into more than a few of them.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Method, target, version, and the headers where they are no lines. It is its owner's, as a head is large to be moved.
    pub(crate) parts: &'a mut Parts,
    peer: &'a Peer,
    lines: Option<Lines>,
    /// Set once the lines are ready for an endpoint: the request's id, which is empty where requests have none.
    id: Option<String>,
}

impl<'a> Asked<'a> {
    /// What came from `peer`, whose headers are `lines`, or in `parts` where there are none.
    pub(crate) fn new(parts: &'a mut Parts, lines: Option<Lines>, peer: &'a Peer) -> Self {
        Self {
            parts,
            peer,
            lines,
            id: None,
        }
    }

    /// What routes look at, of a request that came from `client` in at `listener`.
    pub(crate) fn seen<'s>(&'s self, client: IpAddr, listener: &'s str) -> Head<'s> {
        Head {
            method: &self.parts.method,
            uri: &self.parts.uri,
            headers: match &self.lines {
                Some(lines) => lines.headers(),
                None => Headers::Map(&self.parts.headers),
            },
            client,
            listener,
        }
    }

    /// Makes it ready for an endpoint, see [`rewrite`]. Lines are left as they are, as a head that needs more than to be
    /// told of its peer has none.
    pub(crate) fn rewrite(
        &mut self,
        may_upgrade: bool,
        random: impl FnMut() -> u64,
    ) -> Option<Upgrade> {
        if self.lines.is_none() {
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

    /// Writes those headers that are lines, as an endpoint gets them.
    pub(crate) fn write_lines(&self, out: &mut BytesMut) {
        if let (Some(lines), Some(id)) = (&self.lines, &self.id) {
            lines.write(out);
            write_told(out, self.peer, lines.host(), id);
        }
    }

    /// Puts the headers into the map, if they are lines: as they came, or as an endpoint gets them if they are ready.
    ///
    /// # Errors
    /// Lines that a map cannot hold. The reader of heads makes none.
    pub(crate) fn take_apart(&mut self, spares: &Spares) -> Result<(), HeadFault> {
        let Some(lines) = &self.lines else {
            return Ok(());
        };
        let mut map = spares.take_map();
        if self.id.is_some() {
            let mut out = BytesMut::new();
            self.write_lines(&mut out);
            collect_lines(&out.freeze(), &mut map)?;
        } else {
            collect_lines(lines.all(), &mut map)?;
        }
        self.parts.headers = map;
        self.lines = None;
        Ok(())
    }
}
