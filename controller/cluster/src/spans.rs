//! Spans of what is done, for whoever collects traces. Nothing is made where nobody does.

use tracing::{Span, field::Empty};

/// The target of all spans.
pub const SPANS: &str = "sluice_spans";

/// The turns of one Rollout, one after the other, until nothing is left to write.
pub fn turn_span(namespace: &str, name: &str) -> Span {
    tracing::info_span!(
        target: SPANS,
        "reconcile",
        k8s.namespace.name = namespace,
        rollout = name,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// A request to the API server about an object of this kind.
pub fn request_span(kind: &str, verb: &str) -> Span {
    tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = format_args!("{verb} {kind}"),
        otel.kind = "client",
        k8s.kind = kind,
        k8s.verb = verb,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

/// How a request ended: the status of the answer or `ok`, or why there is none, as metrics have it.
pub fn answered(request: &Span, code: &str, has_failed: bool) {
    request.record("http.response.status_code", code);
    if has_failed {
        request.record("otel.status_code", "ERROR");
    }
}

/// The turns of a Rollout ended in trouble.
pub(crate) fn failed(turn: &Span, why: &dyn std::fmt::Display) {
    if !turn.is_disabled() {
        turn.record("otel.status_code", "ERROR");
        turn.record("otel.status_description", why.to_string());
    }
}
