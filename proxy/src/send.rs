//! Sending a request to its version: which endpoint, and whether once more.

use crate::{
    answer::Refusal,
    body::{BodyError, RequestBody},
    client::Ask,
    lane::Dispatched,
    pool::Key,
    upstream::{Answer, Exchange, SendError, connect, http2},
    watch::Phase,
};
use http::request;
use std::{future::poll_fn, net::SocketAddr};
use traffic::{Backend, Failure, Outcome, action::is_idempotent, policy::Protocol};

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

/// An answer that has begun.
pub(crate) struct Answered {
    pub(crate) exchange: Exchange,
    pub(crate) answer: Answer,
}

/// The head of the answer of `backend` to a request, and what its body comes on.
///
/// `sent` counts how the first attempt ends; when that was not the last, it has ended before this returns.
pub(crate) async fn send(
    ask: &Ask,
    backend: &Backend,
    head: &request::Parts,
    body: &mut RequestBody,
    sent: &mut Dispatched,
) -> Result<Answered, NoAnswer> {
    let retry = &backend.policy.retry;
    let may_repeat = is_idempotent(&head.method);
    if retry.attempts > 0 || may_repeat {
        body.keep(retry.max_body_bytes);
    }
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut attempts = retry.attempts;
    let mut lost = LOST;
    loop {
        let mut exchange = connection(ask, backend, sent, &mut tried, lost == LOST).await?;
        exchange.begin(head, body);
        enter(ask, body);
        let answer =
            poll_fn(|context| exchange.poll_head(body, &ask.early, &ask.watch, context)).await;
        let again = match &answer {
            Ok(answer) => {
                may_repeat && attempts > 0 && retry.statuses.contains(&answer.parts.status.as_u16())
            }
            Err(SendError::Unsent) if lost > 0 && body.rewind() => {
                lost -= 1;
                continue;
            }
            Err(SendError::Stale) if lost > 0 && may_repeat && body.rewind() => {
                lost -= 1;
                continue;
            }
            Err(SendError::Failed(Failure::Reset | Failure::Protocol)) => {
                may_repeat && attempts > 0
            }
            Err(_) => false,
        };
        if !again || !body.rewind() {
            return match answer {
                Ok(answer) => Ok(Answered { exchange, answer }),
                Err(error) => Err(no_answer(error)),
            };
        }
        attempts -= 1;
        sent.end(match answer {
            Ok(answer) => Outcome::Answered(answer.parts.status.as_u16()),
            Err(error) => failed(error),
        });
    }
}

/// The phase that waits for an answer.
fn enter(ask: &Ask, body: &RequestBody) {
    let is_whole = body.has_ended();
    ask.watch.enter(if is_whole {
        Phase::Answer
    } else {
        Phase::Upload
    });
}

fn no_answer(error: SendError) -> NoAnswer {
    match error {
        SendError::Failed(failure) => NoAnswer::Version(failure),
        SendError::Unsent | SendError::Stale => NoAnswer::Version(Failure::Reset),
        SendError::Body(BodyError::TooLarge) => NoAnswer::Client(Refusal::BodyTooLarge),
        SendError::Body(BodyError::Invalid) => NoAnswer::Client(Refusal::BadBody),
        SendError::Body(BodyError::Gone) => NoAnswer::Client(Refusal::BadBody),
        SendError::Stalled => NoAnswer::Client(Refusal::Stalled),
    }
}

fn failed(error: SendError) -> Outcome {
    let reason = match error {
        SendError::Failed(failure) => failure,
        _ => Failure::Reset,
    };
    Outcome::Failed {
        status: crate::answer::status(reason).as_u16(),
        reason,
    }
}

/// A connection to an endpoint that was not tried yet, or to one of the next when it cannot be reached.
async fn connection(
    ask: &Ask,
    backend: &Backend,
    sent: &Dispatched,
    tried: &mut Vec<SocketAddr>,
    may_reuse: bool,
) -> Result<Exchange, NoAnswer> {
    let worker = &ask.client.worker;
    let flavor = worker.pool.flavor(&backend.policy);
    let mut failure = Failure::NoEndpoint;
    for address in sent.lane().turn(&backend.endpoints).take(ENDPOINTS_TRIED) {
        let key = Key {
            address,
            flavor: flavor.clone(),
        };
        if may_reuse
            && backend.policy.protocol == Protocol::Http1
            && let Some(connection) = worker.pool.take(&key)
        {
            return Ok(Exchange::Http1(connection));
        }
        ask.watch.enter(Phase::Connect);
        let connected = match backend.policy.protocol {
            Protocol::Http1 => connect::http1(worker, key).await.map(Exchange::Http1),
            Protocol::Http2 => connect::http2(worker, key)
                .await
                .map(|connection| Exchange::Http2(Box::new(http2::Call::new(connection)))),
        };
        match connected {
            Ok(exchange) => return Ok(exchange),
            Err(reason) => {
                tried.push(address);
                failure = reason;
            }
        }
    }
    Err(NoAnswer::Version(failure))
}
