//! gRPC: the status in the trailers decides whether a call succeeded (gRPC over HTTP/2, section "Responses").

use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};
use traffic::{Failure, Outcome};

/// The header, or trailer, that holds a call's status.
pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The header that holds a status's message.
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The status UNAVAILABLE: the call may be made again.
pub(crate) const UNAVAILABLE: u16 = 14;

/// The gRPC status that stands for an HTTP status (gRPC, "HTTP to gRPC Status Code Mapping").
pub(crate) fn status_of(status: http::StatusCode) -> u16 {
    const INTERNAL: u16 = 13;
    const UNAUTHENTICATED: u16 = 16;
    const PERMISSION_DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    const UNKNOWN: u16 = 2;
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
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
    kind.and_then(|kind| kind.strip_prefix(b"application/grpc"))
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

    /// Whether the server is to blame. These are the codes that `google.rpc.Code` maps to HTTP statuses from 500 on. A
    /// call that ends without a status has the status UNKNOWN.
    fn is_failure(self) -> bool {
        const UNKNOWN: u16 = 2;
        const DEADLINE_EXCEEDED: u16 = 4;
        const UNIMPLEMENTED: u16 = 12;
        const INTERNAL: u16 = 13;
        const DATA_LOSS: u16 = 15;
        matches!(
            self.status.unwrap_or(UNKNOWN),
            UNKNOWN | DEADLINE_EXCEEDED | UNIMPLEMENTED | INTERNAL | UNAVAILABLE | DATA_LOSS
        )
    }
}

/// How an answer ended that has come whole.
pub(crate) fn outcome(verdict: Option<Verdict>, status: u16) -> Outcome {
    match verdict {
        // Whatever is no 200 is judged by its HTTP status.
        Some(verdict) if status == 200 && verdict.is_failure() => Outcome::Failed {
            status,
            reason: Failure::Grpc,
        },
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
    fn only_what_the_server_is_to_blame_for_is_a_failure() {
        for (status, is_failure) in [
            ("0", false),
            ("1", false),
            ("2", true),
            ("3", false),
            ("4", true),
            ("5", false),
            ("7", false),
            ("8", false),
            ("12", true),
            ("13", true),
            ("14", true),
            ("15", true),
            ("16", false),
            ("nonsense", true),
        ] {
            let mut verdict = Verdict::default();
            verdict.see(&headers("grpc-status", status));
            let failed = Outcome::Failed {
                status: 200,
                reason: Failure::Grpc,
            };
            let expected = if is_failure {
                failed
            } else {
                Outcome::Answered(200)
            };
            assert_eq!(outcome(Some(verdict), 200), expected, "{status}");
        }
        assert_eq!(
            outcome(Some(Verdict::default()), 404),
            Outcome::Answered(404)
        );
        assert_eq!(outcome(None, 200), Outcome::Answered(200));
    }
}
