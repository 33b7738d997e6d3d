//! What is noted of a request from its beginning to its end, where an access log or traces ask for it.

use crate::{
    client::Client,
    entry::Entry,
    log::Noted,
    request,
    trace::{Attempt, Context, SpanId},
    worker::Worker,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, request::Parts};
use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use traffic::{Backend, BackendId, Role, RolloutId, stats::CLIENT_CLOSED_REQUEST};

/// What is noted of one request. It is written down when this is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    worker: Rc<Worker>,
    listener: Arc<str>,
    scheme: &'static str,
    client: IpAddr,
    began: Duration,
    since_1970: Duration,
    version: Version,
    method: Method,
    host: Box<str>,
    path: Box<str>,
    noted: Noted,
    trace: Option<Context>,
    request_id: Option<HeaderValue>,
    route: Option<Arc<str>>,
    version_of: Option<(RolloutId, Role, BackendId)>,
    attempts: u32,
    endpoint: Option<SocketAddr>,
    attempt: Option<Begun>,
    status: Option<StatusCode>,
    failure: Option<&'static str>,
    first_byte: Option<Duration>,
    request_bytes: u64,
    response_bytes: u64,
    grpc_status: Option<u16>,
    has_ended: bool,
}

/// The attempt that is under way.
#[derive(Clone, Copy, Debug)]
struct Begun {
    span: SpanId,
    at: Duration,
    endpoint: SocketAddr,
    version: Version,
}

impl Account {
    /// Whether anything is noted of the requests of `worker`.
    pub(crate) fn is_wanted(worker: &Worker) -> bool {
        worker.log.is_some() || worker.tracer.is_some()
    }

    /// Begins to note, when somebody wants to know.
    pub(crate) fn begin(client: &Client, address: IpAddr, head: &Parts) -> Option<Box<Self>> {
        let worker = &client.worker;
        if !Self::is_wanted(worker) {
            return None;
        }
        let tracer = worker.tracer.as_ref();
        let host = head.headers.get(http::header::HOST);
        let host = head
            .uri
            .authority()
            .map(|authority| authority.as_str())
            .or_else(|| host.and_then(|host| host.to_str().ok()));
        let path = head.uri.path_and_query();
        Some(Box::new(Self {
            worker: Rc::clone(worker),
            listener: Arc::clone(&client.gate.name),
            scheme: request::scheme(&client.peer, &head.headers).as_str(),
            client: address,
            began: worker.clock.elapsed(),
            since_1970: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            version: head.version,
            method: head.method.clone(),
            host: traffic::request::without_port(host.unwrap_or_default()).into(),
            path: path.map_or("/", |path| path.as_str()).into(),
            noted: worker
                .log
                .as_ref()
                .map(|log| log.note(&head.headers))
                .unwrap_or_default(),
            trace: tracer.map(|tracer| tracer.begin(&head.headers, || worker.random())),
            request_id: None,
            route: None,
            version_of: None,
            attempts: 0,
            endpoint: None,
            attempt: None,
            status: None,
            failure: None,
            first_byte: None,
            request_bytes: 0,
            response_bytes: 0,
            grpc_status: None,
            has_ended: false,
        }))
    }

    /// Begins to note what came from `client` and is no request.
    pub(crate) fn of_no_request(client: &Client) -> Option<Box<Self>> {
        let mut head = Request::new(()).into_parts().0;
        // A method that nobody has, for what nobody could read.
        head.method = Method::from_bytes(b"-").unwrap_or_default();
        let mut account = Self::begin(client, client.source.ip(), &head)?;
        account.path = "".into();
        Some(account)
    }

    /// The route that was found.
    pub(crate) fn route(&mut self, name: &Arc<str>) {
        self.route = Some(Arc::clone(name)).filter(|name| !name.is_empty());
    }

    /// The version that was chosen.
    pub(crate) fn version(&mut self, backend: &Backend) {
        let series = &backend.series;
        self.version_of = Some((series.rollout().clone(), series.role(), backend.id.clone()));
    }

    /// The head as an endpoint is to get it.
    pub(crate) fn rewritten(&mut self, head: &HeaderMap) {
        let name = self.worker.forwarding.request_id.as_ref();
        self.request_id = name.and_then(|name| head.get(name)).cloned();
    }

    /// An attempt begins; the endpoint is told of it in `head`.
    pub(crate) fn attempt(&mut self, endpoint: SocketAddr, version: Version, head: &mut HeaderMap) {
        self.attempts += 1;
        let span = SpanId::new(self.worker.random());
        if let Some(trace) = &self.trace {
            trace.inject(span, head);
        }
        self.endpoint = Some(endpoint);
        self.attempt = Some(Begun {
            span,
            at: self.worker.clock.elapsed(),
            endpoint,
            version,
        });
    }

    /// The attempt has ended, with `status` where the endpoint answered.
    pub(crate) fn attempt_ended(&mut self, status: Option<u16>, failure: Option<&'static str>) {
        let (Some(begun), Some(trace), Some(tracer)) =
            (self.attempt.take(), &self.trace, &self.worker.tracer)
        else {
            return;
        };
        let since_1970 = |at: Duration| self.since_1970 + at.saturating_sub(self.began);
        let attempt = Attempt {
            span: begun.span,
            start: since_1970(begun.at),
            end: since_1970(self.worker.clock.elapsed()),
            method: &self.method,
            version: begun.version,
            endpoint: begun.endpoint,
            status,
            failure,
            earlier: self.attempts.saturating_sub(1),
        };
        tracer.end_attempt(trace, &attempt);
    }

    /// The answer's head, as the client gets it.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        self.first_byte = Some(self.worker.clock.elapsed().saturating_sub(self.began));
        if let Some(log) = &self.worker.log {
            log.note_response(&mut self.noted, headers);
        }
    }

    /// The version or the proxy failed the request.
    pub(crate) fn failed(&mut self, reason: &'static str) {
        self.failure = Some(reason);
    }

    /// So much of the request's body has come.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.request_bytes = bytes;
    }

    /// A part of the answer's body was sent.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.response_bytes += bytes;
    }

    /// The whole answer was sent; `request_bytes` of the request's body had come.
    pub(crate) fn ended(&mut self, request_bytes: u64, grpc_status: Option<u16>) {
        self.request_bytes = request_bytes;
        self.grpc_status = grpc_status;
        self.has_ended = true;
    }

    fn write_down(&self) {
        let is_failure =
            self.failure.is_some() || self.status.is_some_and(|status| status.is_server_error());
        let (rollout, role, service) = match &self.version_of {
            Some((rollout, role, service)) => (Some(rollout), Some(*role), Some(service)),
            None => (None, None, None),
        };
        let status = self.status.map(|status| status.as_u16());
        let entry = Entry {
            time: self.since_1970,
            client: self.client,
            listener: &self.listener,
            scheme: self.scheme,
            version: self.version,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            status: status
                .filter(|_| self.has_ended || self.failure.is_some())
                .unwrap_or(CLIENT_CLOSED_REQUEST),
            failure: self.failure,
            route: self.route.as_deref(),
            rollout,
            role,
            service,
            endpoint: self.endpoint,
            attempts: self.attempts,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration: self.worker.clock.elapsed().saturating_sub(self.began),
            first_byte: self.first_byte,
            request_id: self.request_id.as_ref(),
            trace: self.trace.as_ref().map(Context::trace),
            grpc_status: self.grpc_status,
            noted: &self.noted,
        };
        if let Some(log) = &self.worker.log
            && log.wants(is_failure, self.worker.random())
        {
            log.write(&entry);
        }
        if let (Some(tracer), Some(trace)) = (&self.worker.tracer, &self.trace) {
            tracer.end(trace, &entry);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.write_down();
    }
}
