//! How a line looks: a walk over parts that were compiled once.

use super::{Noted, escape, time::SecondCache};
use crate::{entry::Entry, trace::TraceId};
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{REFERER, USER_AGENT},
};
use std::{
    fmt,
    io::Write,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use traffic::log_template::{Field, LogTemplate, Part};

/// A compiled format, and the headers that it tells of.
#[derive(Debug, Default)]
pub(super) struct Format {
    shape: Shape,
    request: Vec<HeaderName>,
    response: Vec<HeaderName>,
}

#[derive(Debug)]
enum Shape {
    /// An object: each key as `,"key":`, and its value.
    Json(Vec<(Box<str>, Source)>),
    Text(Vec<Piece>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Text(Vec::new())
    }
}

/// A piece of a line of text.
#[derive(Debug)]
enum Piece {
    Text(Box<[u8]>),
    Value(Source),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Entry(Field),
    /// The place among [`Noted::request`].
    Request(usize),
    /// The place among [`Noted::response`].
    Response(usize),
}

/// A value of a line.
enum Value<'a> {
    Absent,
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(u64),
    Milliseconds(Duration),
    Time(Duration),
    Address(IpAddr),
    Endpoint(SocketAddr),
    Name { namespace: &'a str, name: &'a str },
    Trace(TraceId),
}

impl Format {
    /// One JSON object with all fields.
    pub(super) fn json() -> Self {
        let mut format = Self::default();
        let fields = Field::ALL.iter();
        let member = |&field: &Field| {
            let key = format!(",\"{}\":", field.as_str());
            (key.into(), format.source(field))
        };
        format.shape = Shape::Json(fields.map(member).collect());
        format
    }

    /// Text after `template`.
    pub(super) fn template(template: &LogTemplate) -> Self {
        let mut format = Self::default();
        let piece = |part: &Part| match part {
            Part::Text(text) => Piece::Text(text.as_bytes().into()),
            Part::Field(field) => Piece::Value(format.source(*field)),
            Part::RequestHeader(name) => {
                Piece::Value(Source::Request(place(&mut format.request, name)))
            }
            Part::ResponseHeader(name) => {
                Piece::Value(Source::Response(place(&mut format.response, name)))
            }
        };
        format.shape = Shape::Text(template.parts().iter().map(piece).collect());
        format
    }

    fn source(&mut self, field: Field) -> Source {
        match field {
            Field::UserAgent => Source::Request(place(&mut self.request, &USER_AGENT)),
            Field::Referer => Source::Request(place(&mut self.request, &REFERER)),
            field => Source::Entry(field),
        }
    }

    /// Notes the headers of `request` that lines tell of.
    pub(super) fn note(&self, request: &HeaderMap) -> Noted {
        Noted {
            request: noted(&self.request, request),
            response: Box::default(),
        }
    }

    /// Notes the headers of `response` that lines tell of.
    pub(super) fn note_response(&self, noted_so_far: &mut Noted, response: &HeaderMap) {
        if !self.response.is_empty() {
            noted_so_far.response = noted(&self.response, response);
        }
    }

    /// Appends the line of `entry`, with its line feed.
    pub(super) fn write(&self, line: &mut Vec<u8>, entry: &Entry<'_>, second: &SecondCache) {
        match &self.shape {
            Shape::Json(fields) => write_object(line, fields, entry, second),
            Shape::Text(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => line.extend_from_slice(text),
                        Piece::Value(source) => {
                            write_value(line, &value(*source, entry), second, escape::text);
                        }
                    }
                }
            }
        }
        line.push(b'\n');
    }
}

fn write_object(
    line: &mut Vec<u8>,
    members: &[(Box<str>, Source)],
    entry: &Entry<'_>,
    second: &SecondCache,
) {
    let start = line.len();
    for (key, source) in members {
        let value = value(*source, entry);
        if !matches!(value, Value::Absent) {
            line.extend_from_slice(key.as_bytes());
            write_json(line, &value, second);
        }
    }
    // Every entry has a time, so that there is a first comma.
    if let Some(comma) = line.get_mut(start) {
        *comma = b'{';
    }
    line.push(b'}');
}

/// The place of `name` in `names`, where it is added when it is not there.
fn place(names: &mut Vec<HeaderName>, name: &HeaderName) -> usize {
    names.iter().position(|n| n == name).unwrap_or_else(|| {
        names.push(name.clone());
        names.len() - 1
    })
}

fn noted(names: &[HeaderName], headers: &HeaderMap) -> Box<[Option<HeaderValue>]> {
    names
        .iter()
        .map(|name| headers.get(name).cloned())
        .collect()
}

fn value<'a>(source: Source, entry: &Entry<'a>) -> Value<'a> {
    let header = |noted: &'a [Option<HeaderValue>], place: usize| {
        noted
            .get(place)
            .and_then(Option::as_ref)
            .map_or(Value::Absent, |value| Value::Bytes(value.as_bytes()))
    };
    match source {
        Source::Request(place) => header(&entry.noted.request, place),
        Source::Response(place) => header(&entry.noted.response, place),
        Source::Entry(field) => field_value(field, entry),
    }
}

fn field_value<'a>(field: Field, entry: &Entry<'a>) -> Value<'a> {
    match field {
        Field::Time => Value::Time(entry.time),
        Field::Client => Value::Address(entry.client),
        Field::Listener => Value::Text(entry.listener),
        Field::Scheme => Value::Text(entry.scheme),
        Field::Protocol => Value::Text(protocol(entry.version)),
        Field::Method => Value::Text(entry.method.as_str()),
        Field::Host => Value::Text(entry.host),
        Field::Path => Value::Text(entry.path),
        Field::Status => Value::Number(entry.status.into()),
        Field::Failure => or_absent(entry.failure, Value::Text),
        Field::Route => or_absent(entry.route, Value::Text),
        Field::Rollout => or_absent(entry.rollout, |id| name(&id.namespace, &id.name)),
        Field::Role => or_absent(entry.role, |role| Value::Text(role.as_str())),
        Field::Service => or_absent(entry.service, |id| name(&id.namespace, &id.name)),
        Field::Endpoint => or_absent(entry.endpoint, Value::Endpoint),
        Field::Attempts => Value::Number(entry.attempts.into()),
        Field::RequestBytes => Value::Number(entry.request_bytes),
        Field::ResponseBytes => Value::Number(entry.response_bytes),
        Field::Duration => Value::Milliseconds(entry.duration),
        Field::FirstByte => or_absent(entry.first_byte, Value::Milliseconds),
        Field::RequestId => or_absent(entry.request_id, |id| Value::Bytes(id.as_bytes())),
        Field::TraceId => or_absent(entry.trace, Value::Trace),
        Field::GrpcStatus => or_absent(entry.grpc_status, |status| Value::Number(status.into())),
        // They are headers, see `Format::source`.
        Field::UserAgent | Field::Referer => Value::Absent,
    }
}

fn or_absent<'a, T>(value: Option<T>, known: impl FnOnce(T) -> Value<'a>) -> Value<'a> {
    value.map_or(Value::Absent, known)
}

fn name<'a>(namespace: &'a str, name: &'a str) -> Value<'a> {
    Value::Name { namespace, name }
}

/// The version as a line of text protocols spells it.
const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

fn write_json(line: &mut Vec<u8>, value: &Value<'_>, second: &SecondCache) {
    if matches!(value, Value::Number(_) | Value::Milliseconds(_)) {
        return write_value(line, value, second, escape::json);
    }
    line.push(b'"');
    write_value(line, value, second, escape::json);
    line.push(b'"');
}

fn write_value(
    line: &mut Vec<u8>,
    value: &Value<'_>,
    second: &SecondCache,
    escaped: fn(&mut Vec<u8>, &[u8]),
) {
    match value {
        Value::Absent => line.push(b'-'),
        Value::Text(text) => escaped(line, text.as_bytes()),
        Value::Bytes(bytes) => escaped(line, bytes),
        Value::Number(number) => decimal(line, *number),
        Value::Milliseconds(time) => {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            decimal(line, micros / 1000);
            // The 1 in front keeps the zeros behind it, and becomes the point.
            let point = line.len();
            decimal(line, 1000 + micros % 1000);
            line[point] = b'.';
        }
        Value::Time(time) => second.write(line, *time),
        Value::Address(ip) => address(line, *ip),
        Value::Endpoint(endpoint @ SocketAddr::V4(_)) => {
            address(line, endpoint.ip());
            line.push(b':');
            decimal(line, endpoint.port().into());
        }
        Value::Endpoint(endpoint) => display(line, endpoint),
        Value::Name { namespace, name } => {
            escaped(line, namespace.as_bytes());
            line.push(b'/');
            escaped(line, name.as_bytes());
        }
        Value::Trace(trace) => display(line, trace),
    }
}

fn address(line: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return display(line, &address);
    };
    for (i, octet) in address.octets().into_iter().enumerate() {
        if i > 0 {
            line.push(b'.');
        }
        decimal(line, octet.into());
    }
}

/// Writes `number`. A line has ten of them, and `fmt` takes several times as long.
fn decimal(line: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[first..]);
}

fn display(line: &mut Vec<u8>, value: &impl fmt::Display) {
    // Writing to memory does not fail.
    let _ = write!(line, "{value}");
}

#[cfg(test)]
mod tests;
