//! Answers that a route gives in place of a version.

use super::OwnAnswer;
use crate::answer::ERROR;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use std::time::Duration;

/// Why a route answers a request itself.
#[derive(Debug)]
pub(super) enum Answer {
    /// A browser asked what it may do; these headers say it.
    Preflight(HeaderMap),
    /// The client is sent elsewhere.
    Redirect(StatusCode, HeaderValue),
    /// The rate limit has no token for it before this time has passed.
    RateLimited(Duration),
    /// As many requests are under way as may be.
    Busy,
    /// The client is to be sent elsewhere on a host that it did not name.
    NoHost,
    /// The target would become longer than one can be (64 KiB).
    TargetTooLong,
}

impl Answer {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Preflight(_) => StatusCode::NO_CONTENT,
            Self::Redirect(status, _) => *status,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
        }
    }

    /// The reason and the text of a refusal.
    const fn refusal(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Preflight(_) | Self::Redirect(..) => return None,
            Self::RateLimited(_) => ("rate_limited", "too many requests for this route\n"),
            Self::Busy => (
                "route_busy",
                "too many requests are under way on this route\n",
            ),
            Self::NoHost => (
                "bad_request",
                "the request has no host, which this route's redirect needs\n",
            ),
            Self::TargetTooLong => ("uri_too_long", "the rewritten path is too long\n"),
        })
    }

    /// The answer itself.
    pub(super) fn into_response(self) -> OwnAnswer {
        let (status, refusal) = (self.status(), self.refusal());
        let mut response = Response::new(refusal.map_or("", |(_, text)| text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match self {
            Self::Preflight(granted) => *headers = granted,
            Self::Redirect(_, location) => drop(headers.insert(LOCATION, location)),
            Self::RateLimited(wait) => drop(headers.insert(RETRY_AFTER, seconds(wait))),
            Self::Busy => drop(headers.insert(RETRY_AFTER, seconds(Duration::from_secs(1)))),
            Self::NoHost | Self::TargetTooLong => {}
        }
        if let Some((reason, _)) = refusal {
            headers.insert(ERROR, HeaderValue::from_static(reason));
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
        }
        Box::new(response)
    }
}

/// `wait` in whole seconds, rounded up, as `Retry-After` has it (RFC 9110 section 10.2.3).
fn seconds(wait: Duration) -> HeaderValue {
    let up = u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(wait.as_secs().saturating_add(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_that_are_long_enough() {
        for (wait, expected) in [
            (Duration::ZERO, "0"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_secs(2), "2"),
            (Duration::MAX, "18446744073709551615"),
        ] {
            assert_eq!(seconds(wait), expected);
        }
    }
}
