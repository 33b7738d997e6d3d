//! Spans in the encoding of OTLP, with the attributes of OpenTelemetry's semantic conventions for HTTP
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
//!
//! Numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto` and its neighbours.

use super::{
    context::{Context, SpanId},
    protobuf::{bytes, fixed32, fixed64, message, number},
};
use crate::entry::Entry;
use http::{Method, Version};
use std::{net::SocketAddr, time::Duration};
use traffic::GrpcCode;

/// The longest value of an attribute, in bytes.
const MAX_VALUE: usize = 1024;

/// `ScopeSpans.spans`: what is written is a row of this field.
pub(super) const SPANS: u64 = 2;

/// `Span.SpanKind`.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// `Status.StatusCode.STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// `SpanFlags`: it is told whether the parent is in another process, and it is.
const KNOWS_IF_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// An attempt to send a request to an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// Its span, of which the endpoint was told.
    pub(crate) span: SpanId,
    /// When it began, since 1970.
    pub(crate) start: Duration,
    /// When its response had passed whole, or it failed; since 1970.
    pub(crate) end: Duration,
    /// The request's method.
    pub(crate) method: &'a Method,
    /// The version of HTTP that the endpoint was spoken to in.
    pub(crate) version: Version,
    /// The endpoint.
    pub(crate) endpoint: SocketAddr,
    /// The status that the endpoint answered with, if it did.
    pub(crate) status: Option<u16>,
    /// Why it failed.
    pub(crate) failure: Option<&'a str>,
    /// How many attempts went before it.
    pub(crate) earlier: u32,
}

/// Appends the span of the request itself.
pub(super) fn server(out: &mut Vec<u8>, context: &Context, entry: &Entry<'_>) {
    let method = known(entry.method);
    let start = entry.time;
    message(out, SPANS, |out| {
        identity(out, context, context.span(), context.caller());
        let remote = context.caller().map_or(0, |_| IS_REMOTE);
        flags(out, context, remote);
        let verb = method.unwrap_or("HTTP");
        match entry.route {
            Some(route) => bytes(out, 5, cut(&format!("{verb} {route}")).as_bytes()),
            None => bytes(out, 5, verb.as_bytes()),
        }
        number(out, 6, SERVER);
        period(out, start, start.saturating_add(entry.duration));
        method_attributes(out, entry.method);
        text(out, "url.scheme", entry.scheme);
        let path = entry.path.split('?').next().unwrap_or_default();
        text(out, "url.path", path);
        text(out, "server.address", entry.host);
        text(out, "client.address", &entry.client.to_string());
        text(out, "network.protocol.version", protocol(entry.version));
        integer(out, "http.response.status_code", entry.status.into());
        optional(out, "http.route", entry.route);
        if let Some(rollout) = entry.rollout {
            text(out, "sluice.rollout", &rollout.to_string());
        }
        optional(out, "sluice.role", entry.role.map(|role| role.as_str()));
        if let Some(service) = entry.service {
            text(out, "sluice.service", &service.to_string());
        }
        if let Some(status) = entry.grpc_status {
            match GrpcCode::from_number(status) {
                Some(code) => text(out, "rpc.response.status_code", code.as_str()),
                None => text(out, "rpc.response.status_code", &status.to_string()),
            }
        }
        // A client's mistake is no error of the server, whatever the log calls it.
        let is_mistake = (400..500).contains(&entry.status);
        let is_error = entry.status >= 500 || entry.failure.is_some() && !is_mistake;
        error(out, is_error, entry.failure, Some(entry.status));
    });
}

/// Appends the span of an attempt.
pub(super) fn client(out: &mut Vec<u8>, context: &Context, attempt: &Attempt<'_>) {
    message(out, SPANS, |out| {
        identity(out, context, attempt.span, Some(context.span()));
        flags(out, context, 0);
        bytes(out, 5, known(attempt.method).unwrap_or("HTTP").as_bytes());
        number(out, 6, CLIENT);
        period(out, attempt.start, attempt.end);
        method_attributes(out, attempt.method);
        let address = attempt.endpoint.ip().to_string();
        let port = attempt.endpoint.port().into();
        text(out, "server.address", &address);
        integer(out, "server.port", port);
        text(out, "network.peer.address", &address);
        integer(out, "network.peer.port", port);
        text(out, "network.protocol.version", protocol(attempt.version));
        if attempt.earlier > 0 {
            integer(out, "http.request.resend_count", attempt.earlier.into());
        }
        if let Some(status) = attempt.status {
            integer(out, "http.response.status_code", status.into());
        }
        let is_error = attempt.failure.is_some() || attempt.status.is_some_and(|s| s >= 400);
        error(out, is_error, attempt.failure, attempt.status);
    });
}

/// The `ResourceSpans` of service `name` up to the spans, and the beginning of the `ScopeSpans`.
pub(super) fn resource(name: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut resource, mut scope) = (Vec::new(), Vec::new());
    message(&mut resource, 1, |out| {
        pair(out, 1, "service.name", |out| bytes(out, 1, name.as_bytes()));
    });
    message(&mut scope, 1, |out| {
        bytes(out, 1, b"sluice");
        bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
    });
    (resource, scope)
}

fn identity(out: &mut Vec<u8>, context: &Context, span: SpanId, parent: Option<SpanId>) {
    bytes(out, 1, &context.trace().get().to_be_bytes());
    bytes(out, 2, &span.get().to_be_bytes());
    if let Some(parent) = parent {
        bytes(out, 4, &parent.get().to_be_bytes());
    }
}

fn flags(out: &mut Vec<u8>, context: &Context, remote: u32) {
    fixed32(
        out,
        16,
        u32::from(context.flags()) | KNOWS_IF_REMOTE | remote,
    );
}

fn period(out: &mut Vec<u8>, start: Duration, end: Duration) {
    // 64 bits of nanoseconds last until the year 2554.
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    fixed64(out, 7, nanos(start));
    fixed64(out, 8, nanos(end));
}

fn error(out: &mut Vec<u8>, is_error: bool, failure: Option<&str>, status: Option<u16>) {
    if !is_error {
        return;
    }
    match (failure, status) {
        (Some("status") | None, Some(status)) => text(out, "error.type", &status.to_string()),
        (Some(failure), _) => text(out, "error.type", failure),
        (None, None) => {}
    }
    message(out, 15, |out| number(out, 3, ERROR));
}

fn method_attributes(out: &mut Vec<u8>, method: &Method) {
    // Names of clients' own making would be as many values.
    text(
        out,
        "http.request.method",
        known(method).unwrap_or("_OTHER"),
    );
    if known(method).is_none() {
        text(out, "http.request.method_original", method.as_str());
    }
}

fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
    ];
    KNOWN.into_iter().find(|known| method == known)
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn optional(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        text(out, key, value);
    }
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    pair(out, 9, key, |out| bytes(out, 1, cut(value).as_bytes()));
}

fn integer(out: &mut Vec<u8>, key: &str, value: u64) {
    pair(out, 9, key, |out| number(out, 3, value));
}

/// A `KeyValue` as field `field`.
fn pair(out: &mut Vec<u8>, field: u64, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, value);
    });
}

/// As much of `value` as is kept.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_VALUE)]
}
