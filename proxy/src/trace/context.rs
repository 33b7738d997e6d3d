//! W3C Trace Context: which trace a request belongs to, and what endpoints are told of it.
//!
//! <https://www.w3.org/TR/trace-context/>; sections below are those of level 1.

use super::Sampler;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The caller recorded the request (section 3.2.2.5.1).
const SAMPLED: u8 = 0b01;
/// The trace id is random (level 2, section 3.2.2.5.2). Passed on, so that samplers after us may count on it.
const RANDOM: u8 = 0b10;

/// The most members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// The longest `tracestate` that is passed on with a trace that is recorded. At least 512 must be (section 3.3.1.5).
const MAX_TRACESTATE: usize = 4096;

/// The id of a trace: 32 hexadecimal digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TraceId(NonZeroU128);

impl TraceId {
    fn random(mut random: impl FnMut() -> u64) -> Self {
        let id = u128::from(random()) << 64 | u128::from(random());
        Self(NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN))
    }

    /// The id that is `id`, which is not zero.
    #[cfg(test)]
    pub(crate) fn of(id: u128) -> Self {
        Self(NonZeroU128::new(id).unwrap())
    }

    /// The id as a number.
    pub(super) const fn get(self) -> u128 {
        self.0.get()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The id of a span: 16 hexadecimal digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpanId(NonZeroU64);

impl SpanId {
    /// The id that `random` is drawn for.
    pub(crate) fn new(random: u64) -> Self {
        Self(NonZeroU64::new(random).unwrap_or(NonZeroU64::MIN))
    }

    /// The id as a number.
    pub(super) const fn get(self) -> u64 {
        self.0.get()
    }
}

/// The value of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) trace: TraceId,
    pub(super) parent: SpanId,
    pub(super) flags: u8,
}

impl Traceparent {
    /// The one valid `traceparent` of `headers`. Two of them contradict each other and are none.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).into_iter();
        let value = values.next()?;
        values.next().is_none().then_some(())?;
        Self::parse(value.as_bytes())
    }

    /// Parses a value: version 00, and of later versions what they have in common with it (section 3.2.4).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (common, rest) = value.split_at_checked(55)?;
        let version = hex(&common[0..2])? as u8;
        let is_whole = match version {
            0x00 => rest.is_empty(),
            0xFF => false,
            _ => rest.first().is_none_or(|&b| b == b'-'),
        };
        let has_dashes = [2, 35, 52].iter().all(|&at| common[at] == b'-');
        if !is_whole || !has_dashes {
            return None;
        }
        // What other bits mean is unknown; of later versions only the first is known to be the same.
        let known = if version == 0 {
            SAMPLED | RANDOM
        } else {
            SAMPLED
        };
        Some(Self {
            trace: TraceId(NonZeroU128::new(hex(&common[3..35])?)?),
            parent: SpanId(NonZeroU64::new(hex(&common[36..52])? as u64)?),
            flags: hex(&common[53..55])? as u8 & known,
        })
    }

    /// The value as version 00.
    pub(super) fn to_bytes(self) -> [u8; 55] {
        let mut value = [b'-'; 55];
        write_hex(&mut value[0..2], 0);
        write_hex(&mut value[3..35], self.trace.get());
        write_hex(&mut value[36..52], self.parent.get().into());
        write_hex(&mut value[53..55], self.flags.into());
        value
    }
}

/// Writes the lowest digits of `number`, as many as there is place for.
fn write_hex(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xF) as usize];
        number >>= 4;
    }
}

/// The number that `digits` (at most 32) are in lower case, as the header demands.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// A request's place in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    trace: TraceId,
    /// The caller's span; none when the trace begins here.
    caller: Option<SpanId>,
    /// The span of the request itself.
    span: SpanId,
    flags: u8,
}

impl Context {
    /// The place of the request with these headers. Its caller's decision is followed; a trace that begins here, since
    /// there is no valid `traceparent`, is recorded when `sampler` picks it.
    pub(super) fn begin(
        headers: &HeaderMap,
        sampler: Sampler,
        mut random: impl FnMut() -> u64,
    ) -> Self {
        if let Some(caller) = Traceparent::of(headers) {
            return Self {
                trace: caller.trace,
                caller: Some(caller.parent),
                span: SpanId::new(random()),
                flags: caller.flags,
            };
        }
        let trace = TraceId::random(&mut random);
        Self {
            trace,
            caller: None,
            span: SpanId::new(random()),
            flags: if sampler.picks(trace) { SAMPLED } else { 0 },
        }
    }

    /// The trace.
    pub(crate) const fn trace(&self) -> TraceId {
        self.trace
    }

    /// Whether spans of it are kept.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(super) const fn caller(&self) -> Option<SpanId> {
        self.caller
    }

    pub(super) const fn span(&self) -> SpanId {
        self.span
    }

    pub(super) const fn flags(&self) -> u8 {
        self.flags
    }

    /// Tells an endpoint of the trace: `span` is the attempt to send the request there. To be called for each attempt.
    ///
    /// When the caller records nothing, what it says is passed on untouched: a span that nobody keeps is no parent.
    pub(crate) fn inject(&self, span: SpanId, headers: &mut HeaderMap) {
        if self.caller.is_some() && !self.is_recorded() {
            return;
        }
        let value = Traceparent {
            trace: self.trace,
            parent: span,
            flags: self.flags,
        };
        if let Ok(value) = HeaderValue::from_bytes(&value.to_bytes()) {
            headers.insert(TRACEPARENT, value);
        }
        // It belongs to the `traceparent` that came with it (section 3.3), and none came that was valid.
        if self.caller.is_none() || !is_bounded(headers) {
            headers.remove(TRACESTATE);
        }
    }
}

/// Whether the `tracestate` of `headers` is within the bounds of the standard, all its lines together.
fn is_bounded(headers: &HeaderMap) -> bool {
    let lines = || {
        headers
            .get_all(TRACESTATE)
            .into_iter()
            .map(HeaderValue::as_bytes)
    };
    let members = |line: &[u8]| line.split(|&b| b == b',').count();
    lines().map(<[u8]>::len).sum::<usize>() <= MAX_TRACESTATE
        && lines().map(members).sum::<usize>() <= MAX_MEMBERS
}

#[cfg(test)]
mod tests;
