//! Answers that the proxy gives itself, each in one place: status, one line of text, and a header that names the
//! reason.

use crate::{http1::RequestFault, request::Fault, response::ResponseBody};
use http::{HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use traffic::{Backend, Failure};

/// Names the reason of an answer that is the proxy's own.
pub(crate) const ERROR: HeaderName = HeaderName::from_static("sluice-error");

/// Why a request is not answered by a version.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No route is for it, or there is no route table yet.
    NoRoute,
    /// It breaks the rules.
    BadRequest(Fault),
    /// It is no HTTP that can be passed on without two servers understanding it differently.
    Malformed(RequestFault),
    /// Its body is not framed as HTTP demands, or broke off.
    BadBody,
    /// Its body is larger than is allowed.
    BodyTooLarge,
    /// The client stopped sending its body.
    Stalled,
    /// The version failed. The text names it.
    Failed(Failure, String),
}

impl Refusal {
    /// The failure of the version behind `backend`.
    pub(crate) fn failed(failure: Failure, backend: &Backend) -> Self {
        let what = match failure {
            Failure::NoEndpoint => "has no endpoint",
            Failure::Connect => "refused the connection",
            Failure::ConnectTimeout => "did not take the connection in time",
            Failure::Reset => "closed the connection before it answered",
            Failure::Protocol => "did not answer in valid HTTP",
            Failure::ResponseTimeout => "did not answer in time",
            Failure::Overload => "has as much to do as its limits allow",
            Failure::Status | Failure::BodyCut | Failure::IdleTimeout | Failure::Grpc => "failed",
        };
        let series = &backend.series;
        let (role, rollout) = (series.role(), series.rollout());
        let line = format!("Service {} ({role} of {rollout}) {what}", backend.id);
        Self::Failed(failure, line)
    }

    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BadRequest(Fault::Connect) => StatusCode::NOT_IMPLEMENTED,
            Self::BadRequest(_) | Self::BadBody => StatusCode::BAD_REQUEST,
            Self::Malformed(fault) => fault.status(),
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Failed(failure, _) => status(*failure),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::BadRequest(_) | Self::Malformed(_) | Self::BadBody => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::Stalled => "request_timeout",
            Self::Failed(failure, _) => failure.as_str(),
        }
    }

    fn line(&self) -> &str {
        match self {
            Self::NoRoute => "no route is for this host and path",
            Self::BadRequest(fault) => fault.as_str(),
            Self::Malformed(fault) => fault.as_str(),
            Self::BadBody => "the request's body is not framed as HTTP demands",
            Self::BodyTooLarge => "the request's body is larger than is allowed here",
            Self::Stalled => "the request's body stopped coming",
            Self::Failed(_, line) => line,
        }
    }

    /// The answer itself.
    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let mut line = self.line().to_owned();
        line.push('\n');
        // What is left of a request that was cut short cannot be told from the next one.
        let body = match self {
            Self::BadRequest(_)
            | Self::Malformed(_)
            | Self::BadBody
            | Self::BodyTooLarge
            | Self::Stalled => ResponseBody::last_words(line),
            Self::NoRoute | Self::Failed(..) => ResponseBody::text(line),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(ERROR, HeaderValue::from_static(self.reason()));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    }
}

/// The status that stands for `failure`.
pub(crate) const fn status(failure: Failure) -> StatusCode {
    match failure {
        Failure::NoEndpoint | Failure::Overload => StatusCode::SERVICE_UNAVAILABLE,
        Failure::ConnectTimeout | Failure::ResponseTimeout | Failure::IdleTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
        Failure::Status
        | Failure::Connect
        | Failure::Reset
        | Failure::Protocol
        | Failure::BodyCut
        | Failure::Grpc => StatusCode::BAD_GATEWAY,
    }
}
