//! Sending a request to its version: which endpoint, and whether once more.

use crate::{
    account::Account,
    answer::{self, Refusal},
    balance::{Permit, Pick, Seen, Service, Unavailable},
    body::{BodyError, RequestBody},
    client::Ask,
    lane::Dispatched,
    pool::{Key, Proxied},
    request::Asked,
    shared::ASKED_EVERY,
    upstream::{Exchange, NoConnection, SendError, connect, http2},
    watch::{Phase, Watch},
};
use http::{StatusCode, Version};
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
pub(crate) struct Delivery<'a, 'h> {
    pub(crate) ask: &'a Ask,
    pub(crate) backend: &'a Backend,
    pub(crate) service: &'a Rc<Service>,
    /// What ties it to an endpoint, where the Service is balanced by consistent hash.
    pub(crate) key: Option<u64>,
    pub(crate) asked: &'a mut Asked<'h>,
    pub(crate) body: &'a mut RequestBody,
    /// Whether the headers of the answer are looked at on their way to the client.
    pub(crate) is_looked_at: bool,
    pub(crate) tries: Tries,
    /// Counts how the first attempt ends. When that was not the last, it has ended before there is an answer.
    pub(crate) sent: &'a mut Dispatched,
    /// The request's place among those that the Service has under way, until there is an answer that has it.
    pub(crate) permit: Option<Permit>,
    /// Where the answer is put, as it is large to be moved.
    pub(crate) answered: &'a mut Option<Answered>,
    pub(crate) account: Option<&'a mut Account>,
}

/// What became of a request before the present attempt.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// The endpoints that it was tried on.
    on: Vec<SocketAddr>,
    /// How often it was lost with its connection.
    lost: u32,
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What keeps the head, and gives the body.
    pub(crate) exchange: Exchange,
    pub(crate) attempt: Attempt,
    /// The request's place among those that the Service has under way.
    pub(crate) permit: Option<Permit>,
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

impl Delivery<'_, '_> {
    /// Has the version answer, and gives the status.
    pub(crate) async fn send(&mut self) -> Result<StatusCode, NoAnswer> {
        let retry = &self.backend.policy.retry;
        let may_repeat = is_idempotent(&self.asked.parts.method);
        // HTTP/2 says which requests it has not acted on, whatever was sent of them.
        if may_repeat || self.backend.policy.protocol == Protocol::Http2 {
            self.body.keep(retry.max_body_bytes);
        }
        self.service.count_request(self.now());
        let mut attempts = retry.attempts;
        loop {
            let connection = self.connection().await;
            let (mut exchange, mut pick) = connection.inspect_err(|_| {
                // None could be reached: that is where the request went.
                if let Some(first) = self.tries.on.first() {
                    self.sent.goes_to(*first);
                }
            })?;
            let began = self.now();
            let address = pick.address();
            self.sent.goes_to(address);
            self.begin_attempt(address, attempts);
            exchange.begin(self.asked, self.body, self.is_looked_at);
            let (ask, body) = (self.ask, &mut *self.body);
            let answer =
                poll_fn(|context| exchange.poll_head(body, &ask.early, &ask.watch, context)).await;
            let again = match &answer {
                Ok(status) => may_repeat && retry.statuses.contains(&status.as_u16()),
                Err(SendError::Unsent) if self.tries.lost < LOST && self.body.rewind() => {
                    self.tries.lost += 1;
                    continue;
                }
                Err(SendError::Stale)
                    if self.tries.lost < LOST && may_repeat && self.body.rewind() =>
                {
                    self.tries.lost += 1;
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
                Ok(status) if !again => {
                    *self.answered = Some(Answered {
                        exchange,
                        attempt,
                        permit: self.permit.take(),
                    });
                    return Ok(status);
                }
                Ok(status) => {
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
            self.tries.on.push(address);
        }
    }

    fn now(&self) -> Duration {
        self.ask.client.worker.turn.elapsed()
    }

    /// Notes that the request leaves for `endpoint`, with `left` attempts after it.
    fn begin_attempt(&mut self, endpoint: SocketAddr, left: u32) {
        let policy = &self.backend.policy;
        let version = match policy.protocol {
            Protocol::Http1 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        };
        if let Some(account) = &mut self.account {
            account.attempt(endpoint, version, &mut self.asked.parts.headers);
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
            Outcome::Called(_) => (Some(200), None),
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
    async fn connection(&mut self) -> Result<(Exchange, Pick), NoAnswer> {
        let mut failure = Failure::NoEndpoint;
        for _ in 0..ENDPOINTS_TRIED {
            let now = self.now();
            let pick = match self.service.pick(self.key, &self.tries.on, now) {
                Ok(pick) => pick,
                // With one endpoint there is no other to turn to.
                Err(Unavailable::AllTried) if failure == Failure::NoEndpoint => {
                    self.tries.on.clear();
                    continue;
                }
                Err(Unavailable::AllTried | Unavailable::NoEndpoint) => break,
            };
            let key = self.key_of(pick.address());
            let exchange = match self.idle(&key) {
                Some(idle) => Ok(idle),
                // Seldom, and in its place a request's task would be twice as large.
                None => {
                    let made = Box::pin(self.connect(key));
                    in_time(&self.ask.watch, Failure::ResponseTimeout, made).await
                }
            };
            match exchange {
                Ok(exchange) => return Ok((exchange, pick)),
                Err(NoConnection::Exhausted) => return Err(NoAnswer::Client(Refusal::Shed)),
                Err(NoConnection::Version(Failure::Overload)) => {
                    return Err(NoAnswer::Version(Failure::Overload));
                }
                Err(NoConnection::Version(reason)) => {
                    self.tries.on.push(pick.address());
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

    /// What connections to `address` for this request have in common.
    fn key_of(&self, address: SocketAddr) -> Key {
        let client = &self.ask.client;
        let policy = &self.backend.policy;
        let proxied = policy.proxy_protocol.map(|version| Proxied {
            version,
            source: client.source,
            destination: client.destination,
        });
        let flavor = client.worker.pool.flavor(policy, proxied);
        let key = Key { address, flavor };
        if proxied.is_some() {
            let mut own = client.own.borrow_mut();
            if !own.contains(&key) {
                own.push(key.clone());
            }
        }
        key
    }

    /// A connection that is there already. One of HTTP/1 may end at any time, and is not taken for what was lost with another.
    fn idle(&self, key: &Key) -> Option<Exchange> {
        let pool = &self.ask.client.worker.pool;
        match self.backend.policy.protocol {
            Protocol::Http1 if self.tries.lost > 0 => None,
            Protocol::Http1 => pool.take(key).map(Exchange::Http1),
            Protocol::Http2 => pool.shared(key).map(Exchange::http2),
        }
    }

    /// A connection that is made, or comes free before there is a place for one more.
    async fn connect(&self, key: Key) -> Result<Exchange, NoConnection> {
        let worker = &self.ask.client.worker;
        self.ask.watch.enter(Phase::Connect);
        if self.backend.policy.protocol == Protocol::Http2 {
            let look = async || match self.shared(&key).await {
                Err(NoConnection::Version(Failure::Overload)) => None,
                made => Some(made),
            };
            let connection = match look().await {
                Some(made) => made?,
                None => self.wait_for(look).await?,
            };
            return Ok(Exchange::http2(connection));
        }
        let permit = match self.room() {
            Some(permit) => permit,
            None => {
                let look = async || {
                    let idle = worker.pool.take(&key).map(Room::Connection);
                    idle.or_else(|| self.room().map(Room::Permit)).map(Ok)
                };
                match self.wait_for(look).await? {
                    Room::Connection(connection) => return Ok(Exchange::Http1(connection)),
                    Room::Permit(permit) => permit,
                }
            }
        };
        let connection = connect::http1(worker, key, permit).await?;
        Ok(Exchange::Http1(connection))
    }

    /// A connection with room for one more request.
    async fn shared(&self, key: &Key) -> Result<Rc<http2::Connection>, NoConnection> {
        connect::http2(&self.ask.client.worker, key.clone(), || self.room()).await
    }

    /// A place for one more connection. What lies idle makes room, or it would keep other endpoints from being reached.
    fn room(&self) -> Option<Permit> {
        let admit = || self.service.admit(Limit::Connections).ok();
        let pool = &self.ask.client.worker.pool;
        admit().or_else(|| pool.close_idle(self.service).then(admit).flatten())
    }

    /// Waits until something came free: here, which `freed` tells, or on another worker, which has to be looked for.
    async fn freed(&self, freed: impl Future<Output = ()>) {
        let worker = &self.ask.client.worker;
        let mut freed = pin!(freed);
        loop {
            worker.shared.ask_for_room(worker.clock.elapsed());
            let waited = timeout(ASKED_EVERY, freed.as_mut()).await;
            if waited.is_ok() || self.service.has_room(Limit::Connections) {
                return;
            }
        }
    }

    /// Looks whenever something came free, until there is what is looked for. That nothing came free in time says that there
    /// is too much to do, and nothing of any endpoint.
    async fn wait_for<T>(
        &self,
        mut look: impl AsyncFnMut() -> Option<Result<T, NoConnection>>,
    ) -> Result<T, NoConnection> {
        let worker = &self.ask.client.worker;
        let _waiting = self
            .service
            .admit(Limit::Pending)
            .map_err(|_| Failure::Overload)?;
        let found = async {
            loop {
                let freed = worker.pool.freed();
                if let Some(found) = look().await {
                    return found;
                }
                self.freed(freed).await;
            }
        };
        let found = in_time(&self.ask.watch, Failure::Overload, found);
        let waited = timeout(worker.timeouts.connect, found).await;
        waited.unwrap_or(Err(Failure::Overload.into()))
    }
}

/// What `work` gives, or `failure` when the request's time is over before.
async fn in_time<T>(
    watch: &Watch,
    failure: Failure,
    work: impl Future<Output = Result<T, NoConnection>>,
) -> Result<T, NoConnection> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Pending if watch.is_over() => Poll::Ready(Err(failure.into())),
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
