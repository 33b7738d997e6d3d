//! gRPC: the status in the trailers decides whether a call succeeded (gRPC over HTTP/2, section "Responses").

use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};
use traffic::{GrpcCode, Outcome};

/// The header, or trailer, that holds a call's status.
pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The header that holds a status's message.
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The gRPC status that stands for an HTTP status (gRPC, "HTTP to gRPC Status Code Mapping").
pub(crate) fn status_of(status: http::StatusCode) -> GrpcCode {
    match status.as_u16() {
        400 => GrpcCode::Internal,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        404 => GrpcCode::Unimplemented,
        429 | 502 | 503 | 504 => GrpcCode::Unavailable,
        _ => GrpcCode::Unknown,
    }
}

/// What is known of the end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    status: Option<u16>,
}

/// Whether `headers` are those of a gRPC request.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    kind.is_some_and(is_kind)
}

/// Whether `kind` is the `Content-Type` of a gRPC request.
pub(crate) fn is_kind(kind: &[u8]) -> bool {
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

impl Verdict {
    /// What the head of an answer says.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut verdict = Self::default();
        verdict.see(headers);
        verdict
    }

    /// Looks for a status: in trailers, or in the head of an answer that has nothing else.
    pub(crate) fn see(&mut self, headers: &HeaderMap) {
        let status = headers.get(STATUS).and_then(|status| status.to_str().ok());
        self.status = status
            .and_then(|status| status.parse().ok())
            .or(self.status);
    }

    /// The status, where there is one.
    pub(crate) fn status(self) -> Option<u16> {
        self.status
    }

    /// How the call ended. A status that is missing or that gRPC does not know is UNKNOWN, as its clients take it.
    fn code(self) -> GrpcCode {
        self.status
            .and_then(GrpcCode::from_number)
            .unwrap_or(GrpcCode::Unknown)
    }
}

/// How an answer ended that has come whole.
pub(crate) fn outcome(verdict: Option<Verdict>, status: u16) -> Outcome {
    match verdict {
        Some(verdict) if status == 200 => Outcome::Called(verdict.code()),
        // Whatever is no 200 is judged by its HTTP status.
        _ => Outcome::Answered(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_grpc_request_says_so() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(&headers("content-type", kind)), expected, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_call_ends_with_its_code() {
        for (status, code) in [
            ("0", GrpcCode::Ok),
            ("5", GrpcCode::NotFound),
            ("14", GrpcCode::Unavailable),
            ("16", GrpcCode::Unauthenticated),
            ("17", GrpcCode::Unknown),
            ("nonsense", GrpcCode::Unknown),
        ] {
            let mut verdict = Verdict::default();
            verdict.see(&headers("grpc-status", status));
            assert_eq!(
                outcome(Some(verdict), 200),
                Outcome::Called(code),
                "{status}"
            );
        }
        assert_eq!(
            outcome(Some(Verdict::default()), 200),
            Outcome::Called(GrpcCode::Unknown)
        );
        assert_eq!(
            outcome(Some(Verdict::default()), 404),
            Outcome::Answered(404)
        );
        assert_eq!(outcome(None, 200), Outcome::Answered(200));
    }
}
