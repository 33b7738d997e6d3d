//! HTTP/1.1 as bytes, for both sides of the proxy, without I/O (RFC 9110, RFC 9112).
//!
//! [`HeadReader`] takes heads off a buffer, [`Decoder`] bodies; [`write_request`] and [`write_response`] put heads into a
//! buffer and give the [`Encoder`] of the body that they announced. Nothing is copied that can be shared: header values,
//! targets and pieces of bodies are slices of what was read.
//!
//! What two servers could read differently is refused, not repaired: an attacker's request that means one thing here and
//! another one at the endpoint is worth more to him than a lenient parser is to anybody else. What a head that is
//! whole has as its parts is what `httparse` finds, which tests compare; what that lets through (line ends without CR, lines
//! before a response, bytes beyond ASCII and `#` in targets) is refused around it. The only leniency is that of RFC 9112 section 2.2: empty lines before a request.

mod chunked;
mod codings;
mod decode;
mod encode;
mod fields;
mod framing;
mod head;
mod host;
mod lines;
mod preface;
mod request;
mod response;
mod scan;
mod section;
mod target;
mod trailers;
mod words;
mod write;

pub(crate) use decode::{BodyFault, Decoder, Piece};
pub(crate) use encode::Encoder;
#[cfg(test)]
use encode::{Overrun, Short};
pub(crate) use fields::{apart, collect_lines};
pub(crate) use framing::{Framing, FramingFault};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use head::given;
pub(crate) use head::{HeadFault, HeadLimits, HeadReader};
pub(crate) use host::is_host;
pub(crate) use lines::Lines;
pub(crate) use preface::{Preface, is_http2_preface};
pub(crate) use request::{RequestFault, RequestHead, parse as parse_request};
#[cfg(test)]
use response::ResponseFault;
pub(crate) use response::{Reason, ResponseHead};
pub(crate) use scan::IS_TOKEN;
pub(crate) use write::{
    StatusLine, decimal, end_request, write_request, write_request_line, write_response,
};

#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::expect_used,
    reason = "what is surprising is what is looked for"
)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::expect_used,
    reason = "what is surprising is what is looked for"
)]
pub(crate) mod transcript;
