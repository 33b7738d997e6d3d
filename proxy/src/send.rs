//! Sending a request to its version: which endpoint, and whether once more.

use crate::{
    account::Account,
    answer::{self, Refusal},
    balance::{Permit, Pick, Seen, Service, Unavailable},
    body::{BodyError, RequestBody},
    client::Ask,
    lane::Dispatched,
    pool::{Key, Proxied},
    upstream::{Answer, Exchange, NoConnection, SendError, connect, http2},
    watch::{Phase, Watch},
};
use http::{StatusCode, Version, request};
use std::{future::poll_fn, net::SocketAddr, pin::pin, rc::Rc, task::Poll, time::Duration};
use tokio::time::timeout;
use traffic::{
    Backend, Failure, Outcome, action::is_idempotent, policy::Protocol, state::backend::Limit,
};

/// How many endpoints of its version a request is tried on when connections cannot be made. The version has failed
/// when all of them did; that a later one took it is not counted against the version.
const ENDPOINTS_TRIED: usize = 3;

/// How often a request is sent again that an endpoint has surely not acted on, or that was lost with a connection that
/// the endpoint closed in the same moment.
const LOST: u32 = 3;

/// Why a request that was sent has no answer to pass on.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The version failed.
    Version(Failure),
    /// The client did not send its request to the end.
    Client(Refusal),
}

/// A request on its way to one version.
pub(crate) struct Delivery<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) backend: &'a Backend,
    pub(crate) service: &'a Rc<Service>,
    /// What ties it to an endpoint, where the Service is balanced by consistent hash.
    pub(crate) key: Option<u64>,
    pub(crate) head: &'a mut request::Parts,
    pub(crate) body: &'a mut RequestBody,
    /// Counts how the first attempt ends. When that was not the last, it has ended before there is an answer.
    pub(crate) sent: &'a mut Dispatched,
    pub(crate) account: Option<&'a mut Account>,
}

/// An answer that has begun.
pub(crate) struct Answered {
    pub(crate) exchange: Exchange,
    pub(crate) answer: Answer,
    pub(crate) attempt: Attempt,
}

/// An attempt at an endpoint, for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Attempt {
    pick: Pick,
    began: Duration,
}

impl Attempt {
    /// Notes that it has succeeded, though it goes on.
    pub(crate) fn succeeded(&self, now: Duration) {
        self.pick.succeeded(now);
    }

    /// Notes how it ended.
    pub(crate) fn end(self, seen: Seen, now: Duration) {
        let latency = now.saturating_sub(self.began);
        self.pick.end(seen, latency, now);
    }
}

impl Delivery<'_> {
    /// The head of the version's answer, and what its body comes on.
    pub(crate) async fn send(&mut self) -> Result<Answered, NoAnswer> {
        let retry = &self.backend.policy.retry;
        let may_repeat = is_idempotent(&self.head.method);
        // HTTP/2 says which requests it has not acted on, whatever was sent of them.
        if may_repeat || self.backend.policy.protocol == Protocol::Http2 {
            self.body.keep(retry.max_body_bytes);
        }
        self.service.count_request(self.now());
        let mut tried = Vec::new();
        let mut attempts = retry.attempts;
        let mut lost = LOST;
        loop {
            let (mut exchange, mut pick) = self.connection(&mut tried, lost == LOST).await?;
            let began = self.now();
            let address = pick.address();
            self.begin_attempt(address, attempts);
            exchange.begin(self.head, self.body);
            let (ask, body) = (self.ask, &mut *self.body);
            let answer =
                poll_fn(|context| exchange.poll_head(body, &ask.early, &ask.watch, context)).await;
            let again = match &answer {
                Ok(answer) => may_repeat && retry.statuses.contains(&answer.parts.status.as_u16()),
                Err(SendError::Unsent) if lost > 0 && self.body.rewind() => {
                    lost -= 1;
                    continue;
                }
                Err(SendError::Stale) if lost > 0 && may_repeat && self.body.rewind() => {
                    lost -= 1;
                    continue;
                }
                Err(SendError::Failed(Failure::ResponseTimeout)) => {
                    may_repeat && retry.attempt_timeout.is_some() && !ask.watch.must_end()
                }
                Err(SendError::Failed(Failure::Reset | Failure::Protocol)) => may_repeat,
                Err(_) => false,
            };
            let now = self.now();
            let again = again && attempts > 0 && self.body.rewind() && self.service.may_retry(now);
            if let (Ok(_), false) = (&answer, again) {
                pick.answered(now.saturating_sub(began), now);
            }
            let attempt = Attempt { pick, began };
            match answer {
                Ok(answer) if !again => {
                    return Ok(Answered {
                        exchange,
                        answer,
                        attempt,
                    });
                }
                Ok(answer) => {
                    let status = answer.parts.status;
                    attempt.end(judged(status), now);
                    self.give_up(Outcome::Answered(status.as_u16()));
                }
                Err(error) => {
                    attempt.end(seen(error), now);
                    if !again {
                        return Err(self.no_answer(error));
                    }
                    self.give_up(failed(error));
                }
            }
            attempts -= 1;
            tried.push(address);
        }
    }

    fn now(&self) -> Duration {
        self.ask.client.worker.clock.elapsed()
    }

    /// Notes that the request leaves for `endpoint`, with `left` attempts after it.
    fn begin_attempt(&mut self, endpoint: SocketAddr, left: u32) {
        let policy = &self.backend.policy;
        let version = match policy.protocol {
            Protocol::Http1 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        };
        if let Some(account) = &mut self.account {
            account.attempt(endpoint, version, &mut self.head.headers);
        }
        let watch = &self.ask.watch;
        watch.limit_attempt(policy.retry.attempt_timeout.filter(|_| left > 0));
        watch.enter(if self.body.has_ended() {
            Phase::Answer
        } else {
            Phase::Upload
        });
    }

    /// Counts how the first attempt ended, as another one follows.
    fn give_up(&mut self, outcome: Outcome) {
        self.sent.end(outcome);
        let (status, reason) = match outcome {
            Outcome::Answered(status) => (Some(status), None),
            Outcome::Failed { reason, .. } => (None, Some(reason.as_str())),
            Outcome::Cancelled => (None, None),
        };
        if let Some(account) = &mut self.account {
            account.attempt_ended(status, reason);
        }
    }

    fn no_answer(&mut self, error: SendError) -> NoAnswer {
        let failure = match error {
            SendError::Failed(failure) => failure,
            SendError::Unsent | SendError::Stale => Failure::Reset,
            SendError::Body(BodyError::TooLarge) => return NoAnswer::Client(Refusal::BodyTooLarge),
            SendError::Body(BodyError::Invalid | BodyError::Gone) => {
                return NoAnswer::Client(Refusal::BadBody);
            }
            SendError::Stalled => return NoAnswer::Client(Refusal::Stalled),
        };
        if let Some(account) = &mut self.account {
            account.attempt_ended(None, Some(failure.as_str()));
        }
        NoAnswer::Version(failure)
    }

    /// A connection to an endpoint that was not tried yet, or to one of the next when it cannot be reached.
    async fn connection(
        &mut self,
        tried: &mut Vec<SocketAddr>,
        may_reuse: bool,
    ) -> Result<(Exchange, Pick), NoAnswer> {
        let mut failure = Failure::NoEndpoint;
        for _ in 0..ENDPOINTS_TRIED {
            let now = self.now();
            let pick = match self.service.pick(self.key, tried, now) {
                Ok(pick) => pick,
                // With one endpoint there is no other to turn to.
                Err(Unavailable::AllTried) if failure == Failure::NoEndpoint => {
                    tried.clear();
                    continue;
                }
                Err(Unavailable::AllTried | Unavailable::NoEndpoint) => break,
            };
            match in_time(&self.ask.watch, self.exchange(pick.address(), may_reuse)).await {
                Ok(exchange) => return Ok((exchange, pick)),
                Err(NoConnection::Exhausted) => return Err(NoAnswer::Client(Refusal::Shed)),
                Err(NoConnection::Version(Failure::Overload)) => {
                    return Err(NoAnswer::Version(Failure::Overload));
                }
                Err(NoConnection::Version(reason)) => {
                    tried.push(pick.address());
                    let now = self.now();
                    pick.end(Seen::ConnectFailure, Duration::ZERO, now);
                    failure = reason;
                    if self.ask.watch.must_end() {
                        return Err(NoAnswer::Version(Failure::ResponseTimeout));
                    }
                }
            }
        }
        Err(NoAnswer::Version(failure))
    }

    /// A connection to `address`: an idle one, or one that is made.
    async fn exchange(
        &self,
        address: SocketAddr,
        may_reuse: bool,
    ) -> Result<Exchange, NoConnection> {
        let client = &self.ask.client;
        let worker = &client.worker;
        let policy = &self.backend.policy;
        let proxied = policy.proxy_protocol.map(|version| Proxied {
            version,
            source: client.source,
            destination: client.destination,
        });
        let flavor = worker.pool.flavor(policy, proxied);
        let key = Key { address, flavor };
        if proxied.is_some() {
            let mut own = client.own.borrow_mut();
            if !own.contains(&key) {
                own.push(key.clone());
            }
        }
        if policy.protocol == Protocol::Http2 {
            self.ask.watch.enter(Phase::Connect);
            let connection = match self.shared(&key).await {
                Err(NoConnection::Version(Failure::Overload)) => self.wait_for_stream(&key).await?,
                made => made?,
            };
            return Ok(Exchange::Http2(Box::new(http2::Call::new(connection))));
        }
        if may_reuse && let Some(connection) = worker.pool.take(&key) {
            return Ok(Exchange::Http1(connection));
        }
        self.ask.watch.enter(Phase::Connect);
        let permit = match self.room() {
            Some(permit) => permit,
            None => match self.wait_for_room(&key).await? {
                Room::Connection(connection) => return Ok(Exchange::Http1(connection)),
                Room::Permit(permit) => permit,
            },
        };
        let connection = connect::http1(worker, key, permit).await?;
        Ok(Exchange::Http1(connection))
    }

    /// A connection with room for one more request.
    async fn shared(&self, key: &Key) -> Result<Rc<http2::Connection>, NoConnection> {
        let permit = || self.service.admit(Limit::Connections);
        connect::http2(&self.ask.client.worker, key.clone(), permit).await
    }

    /// Waits until the Service may have one more connection, or one has room for one more request.
    async fn wait_for_stream(&self, key: &Key) -> Result<Rc<http2::Connection>, NoConnection> {
        let worker = &self.ask.client.worker;
        let _waiting = self
            .service
            .admit(Limit::Pending)
            .map_err(|_| Failure::Overload)?;
        let freed = async {
            loop {
                let freed = worker.pool.freed();
                match self.shared(key).await {
                    Err(NoConnection::Version(Failure::Overload)) => freed.await,
                    made => return made,
                }
            }
        };
        let waited = timeout(worker.timeouts.connect, freed).await;
        waited.unwrap_or(Err(Failure::Overload.into()))
    }

    /// A place for one more connection. What lies idle makes room, or it would keep other endpoints from being reached.
    fn room(&self) -> Option<Permit> {
        let admit = || self.service.admit(Limit::Connections).ok();
        let pool = &self.ask.client.worker.pool;
        admit().or_else(|| pool.close_idle(self.service).then(admit).flatten())
    }

    /// Waits until the Service may have one more connection, or one is idle.
    async fn wait_for_room(&self, key: &Key) -> Result<Room, Failure> {
        let worker = &self.ask.client.worker;
        let _waiting = self
            .service
            .admit(Limit::Pending)
            .map_err(|_| Failure::Overload)?;
        let freed = async {
            loop {
                worker.pool.freed().await;
                if let Some(connection) = worker.pool.take(key) {
                    return Room::Connection(connection);
                }
                if let Some(permit) = self.room() {
                    return Room::Permit(permit);
                }
            }
        };
        let waited = timeout(worker.timeouts.connect, freed).await;
        waited.map_err(|_| Failure::Overload)
    }
}

/// What `work` gives, unless the request's time is over before.
async fn in_time<T>(
    watch: &Watch,
    work: impl Future<Output = Result<T, NoConnection>>,
) -> Result<T, NoConnection> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Pending if watch.is_over() => Poll::Ready(Err(Failure::ResponseTimeout.into())),
        polled => polled,
    })
    .await
}

/// What came free.
enum Room {
    Connection(Box<crate::upstream::http1::Connection>),
    Permit(Permit),
}

/// What an answer that is not passed on says of its endpoint.
pub(crate) fn judged(status: StatusCode) -> Seen {
    if status.is_server_error() {
        Seen::Failure
    } else {
        Seen::Success
    }
}

/// What an attempt that ended without an answer says of its endpoint.
fn seen(error: SendError) -> Seen {
    match error {
        SendError::Failed(_) => Seen::Failure,
        SendError::Unsent | SendError::Stale | SendError::Body(_) | SendError::Stalled => {
            Seen::Cancelled
        }
    }
}

fn failed(error: SendError) -> Outcome {
    let reason = match error {
        SendError::Failed(failure) => failure,
        _ => Failure::Reset,
    };
    answer::failed(reason)
}
