//! What frames of a client do that are no part of a message (RFC 9113 sections 6.3 to 6.9).

use super::{
    Broken,
    frame::{ACK, Head, LARGEST, MOST, SETTINGS, number, put_head, put_ping},
    receive::{protocol, size},
    session::{Session, WINDOW},
};
use h2::Reason;

impl Session {
    /// PRIORITY (section 6.3), which nothing follows from.
    pub(super) fn priority(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream == 0 {
            return Err(protocol("PRIORITY of no stream"));
        }
        let reason = match number(payload) {
            Some(depends_on) if payload.len() == 5 => {
                (depends_on & MOST == head.stream).then_some(Reason::PROTOCOL_ERROR)
            }
            _ => Some(Reason::FRAME_SIZE_ERROR),
        };
        match reason {
            Some(reason) => self.reset_by_fault(head.stream, reason),
            None => Ok(()),
        }
    }

    /// RST_STREAM (section 6.4).
    pub(super) fn rst_stream(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        let id = head.stream;
        let code = number(payload).filter(|_| payload.len() == 4);
        let code = code.ok_or(size("RST_STREAM is not of four bytes"))?;
        if self.is_idle(id) {
            return match id > 0 && self.is_beyond(id) {
                true => Ok(()),
                false => Err(protocol("RST_STREAM of a stream that has not begun")),
            };
        }
        let waiting = self.arrived.len();
        self.arrived.retain(|arrived| arrived.stream != id);
        if self.arrived.len() < waiting {
            // Nobody has begun with it.
            self.pending_resets += 1;
            if self.pending_resets > self.limits.pending_resets {
                let what = "too many streams were reset before they were looked at";
                return Err(Broken(Reason::ENHANCE_YOUR_CALM, what));
            }
            if let Some(stream) = self.streams.remove(id, false) {
                self.let_go(stream.body.held().into());
            }
        } else if let Some(stream) = self.streams.get(id) {
            stream.give_up(Reason::from(code));
        }
        Ok(())
    }

    /// SETTINGS (section 6.5).
    pub(super) fn settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(protocol("SETTINGS of a stream"));
        }
        if head.has(ACK) {
            return match payload.is_empty() {
                true => self.acknowledged(),
                false => Err(size("the acknowledgement of SETTINGS is not empty")),
            };
        }
        if !payload.len().is_multiple_of(6) {
            return Err(size("SETTINGS are not of six bytes each"));
        }
        for setting in payload.chunks_exact(6) {
            let &[n0, n1, v0, v1, v2, v3] = setting else {
                continue;
            };
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            self.setting(u16::from_be_bytes([n0, n1]), value)?;
        }
        put_head(self.out(), 0, SETTINGS, ACK, 0);
        Ok(())
    }

    /// One of them (section 6.5.2).
    fn setting(&mut self, name: u16, value: u32) -> Result<(), Broken> {
        match name {
            1 => self.encoder.set_max(value),
            2 if value > 1 => return Err(protocol("SETTINGS_ENABLE_PUSH is neither 0 nor 1")),
            4 => {
                if value > MOST {
                    let what = "SETTINGS_INITIAL_WINDOW_SIZE is too large";
                    return Err(Broken(Reason::FLOW_CONTROL_ERROR, what));
                }
                let change = i64::from(value) - i64::from(self.send_initial);
                self.send_initial = value;
                for stream in self.streams.each() {
                    stream.send_window += change;
                    if stream.send_window > i64::from(MOST) {
                        return Err(OVERFLOW);
                    }
                    if stream.send_window > 0 {
                        stream.has_room();
                    }
                }
            }
            // No larger frames are sent than everybody takes.
            5 if !(LARGEST..1 << 24).contains(&(value as usize)) => {
                return Err(protocol("SETTINGS_MAX_FRAME_SIZE is out of its range"));
            }
            _ => {}
        }
        Ok(())
    }

    /// The client has our SETTINGS: streams have the window from now on that they say.
    fn acknowledged(&mut self) -> Result<(), Broken> {
        if !std::mem::replace(&mut self.is_acknowledged, true) {
            let window = self.limits.stream_window.min(MOST);
            let change = i64::from(window) - i64::from(WINDOW);
            for stream in self.streams.each() {
                stream.receive_window += change;
            }
        }
        Ok(())
    }

    /// PING (section 6.7).
    pub(super) fn ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(protocol("PING of a stream"));
        }
        let payload = <[u8; 8]>::try_from(payload).map_err(|_| size("PING is not of 8 bytes"))?;
        match head.has(ACK) {
            true => self.answered(payload),
            false => put_ping(self.out(), ACK, payload),
        }
        Ok(())
    }

    /// WINDOW_UPDATE (section 6.9).
    pub(super) fn window_update(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        let more = number(payload).filter(|_| payload.len() == 4);
        let more = i64::from(more.ok_or(size("WINDOW_UPDATE is not of four bytes"))? & MOST);
        let id = head.stream;
        if id == 0 {
            if more == 0 {
                return Err(protocol("the connection's window grows by nothing"));
            }
            self.send_window += more;
            if self.send_window > i64::from(MOST) {
                return Err(OVERFLOW);
            }
            self.pass_on();
            return Ok(());
        }
        if self.is_idle(id) {
            return match self.is_beyond(id) {
                true => Ok(()),
                false => Err(protocol("WINDOW_UPDATE of a stream that has not begun")),
            };
        }
        let Some(stream) = self.streams.get(id).filter(|stream| stream.reset.is_none()) else {
            return Ok(());
        };
        stream.send_window += more;
        if more == 0 {
            return self.reset_by_fault(id, Reason::PROTOCOL_ERROR);
        }
        if stream.send_window > i64::from(MOST) {
            return self.reset_by_fault(id, Reason::FLOW_CONTROL_ERROR);
        }
        if stream.send_window > 0 {
            stream.has_room();
        }
        Ok(())
    }
}

const OVERFLOW: Broken = Broken(Reason::FLOW_CONTROL_ERROR, "a window is too large");

/// GOAWAY (section 6.8): the client takes nothing more that is begun from here, which nothing is.
pub(super) fn goaway(head: Head, payload: &[u8]) -> Result<(), Broken> {
    if head.stream != 0 {
        return Err(protocol("GOAWAY of a stream"));
    }
    match payload.len() {
        8.. => Ok(()),
        _ => Err(size("GOAWAY is too short")),
    }
}
