//! Answers that the proxy gives itself, each in one place: status, one line of text, and a header that names the
//! reason.

use crate::{
    account::Account,
    client::{Ask, Client},
    filter::{OwnAnswer, Passage},
    grpc,
    http1::{HeadFault, RequestFault},
    request::Fault,
    response::ResponseBody,
    watch::Phase,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use traffic::{Backend, Failure, Outcome};

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
    /// The process is short of memory.
    Shed,
    /// The route answers by itself.
    Route(OwnAnswer),
    /// One of these, with headers that the route adds.
    Edited(Box<(Self, HeaderMap)>),
    /// The version failed. The text names it.
    Failed(Failure, String),
}

impl From<OwnAnswer> for Refusal {
    fn from(answer: OwnAnswer) -> Self {
        Self::Route(answer)
    }
}

impl From<HeadFault> for Refusal {
    fn from(fault: HeadFault) -> Self {
        Self::Malformed(RequestFault::Head(fault))
    }
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
            Self::Shed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Route(answer) => answer.status(),
            Self::Edited(edited) => edited.0.status(),
            Self::Failed(failure, _) => status(*failure),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::BadRequest(_) | Self::Malformed(_) | Self::BadBody => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::Stalled => "request_timeout",
            Self::Shed => "overloaded",
            Self::Route(_) => "route",
            Self::Edited(edited) => edited.0.reason(),
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
            Self::Shed => "this proxy has as much to do as it can",
            Self::Route(answer) => answer.body(),
            Self::Edited(edited) => edited.0.line(),
            Self::Failed(_, line) => line,
        }
    }

    /// With what the route does to answers.
    pub(crate) fn edited(self, passage: &Passage<'_>) -> Self {
        let mut headers = HeaderMap::new();
        passage.edit_response(&mut headers);
        if headers.is_empty() {
            return self;
        }
        Self::Edited(Box::new((self, headers)))
    }

    /// The answer to a request that is done with, counted and noted.
    pub(crate) fn answer(
        self,
        ask: &Ask,
        is_grpc: bool,
        account: &mut Option<Box<Account>>,
    ) -> Response<ResponseBody> {
        let counters = ask.client.worker.counters();
        match &self {
            Self::NoRoute => counters.no_route.count(),
            Self::BadRequest(_) | Self::Malformed(_) | Self::BadBody => {
                counters.bad_requests.count()
            }
            Self::Shed => counters.shed.count(),
            _ => {}
        }
        if let Some(account) = account
            && !matches!(self, Self::Route(_))
        {
            account.failed(self.reason());
        }
        ask.watch.enter(Phase::Transfer);
        if is_grpc && self.status().as_u16() >= 400 {
            self.into_grpc_response()
        } else {
            self.into_response()
        }
    }

    /// The answer to what `client` sent and is no request that could go anywhere: all of one, or nothing that can be told.
    pub(crate) fn unrouted(self, client: &Client, head: Option<&Parts>) -> Response<ResponseBody> {
        client.worker.counters().bad_requests.count();
        let account = match head {
            Some(head) => Account::begin(client, client.source.ip(), head),
            None => Account::of_no_request(client),
        };
        let reason = self.reason();
        let mut response = self.into_response();
        if let Some(mut account) = account {
            account.failed(reason);
            account.answered(response.status(), response.headers());
            response.body_mut().keep_account(account);
        }
        response
    }

    /// The answer itself.
    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        match self {
            Self::Edited(edited) => {
                let (refusal, headers) = *edited;
                let mut response = refusal.into_response();
                response.headers_mut().extend(headers);
                response
            }
            Self::Route(answer) => answer.map(ResponseBody::text),
            refusal => refusal.in_words(),
        }
    }

    fn in_words(self) -> Response<ResponseBody> {
        let mut line = self.line().to_owned();
        line.push('\n');
        // What is left of a request that was cut short cannot be told from the next one.
        let is_last = matches!(
            self,
            Self::BadRequest(_)
                | Self::Malformed(_)
                | Self::BadBody
                | Self::BodyTooLarge
                | Self::Stalled
        );
        let mut response = Response::new(if is_last {
            ResponseBody::last_words(line)
        } else {
            ResponseBody::text(line)
        });
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(ERROR, HeaderValue::from_static(self.reason()));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if matches!(self, Self::Shed | Self::Failed(Failure::Overload, _)) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// The same as a gRPC client understands it: a status without messages (gRPC over HTTP/2, "Trailers-Only").
    fn into_grpc_response(self) -> Response<ResponseBody> {
        let status = grpc::status_of(self.status());
        let message = HeaderValue::from_str(self.line().trim_end());
        let plain = self.into_response();
        let body = if plain.body().lets_stay() {
            ResponseBody::text("")
        } else {
            ResponseBody::last_words("")
        };
        let mut response = Response::new(body);
        *response.headers_mut() = plain.headers().clone();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(grpc::STATUS, HeaderValue::from(u16::from(status.number())));
        if let Ok(message) = message {
            headers.insert(grpc::MESSAGE, message);
        }
        response
    }
}

/// How a request is counted that its version failed for `reason` before there was an answer.
pub(crate) const fn failed(reason: Failure) -> Outcome {
    let status = status(reason).as_u16();
    Outcome::Failed { status, reason }
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
