//! Sending copies of requests: fire and forget. The request itself never waits for them.

use crate::{
    answer,
    balance::Seen,
    body::RequestBody,
    client::{Ask, Early, poll_watched},
    contain,
    filter::mirror::{copies, copy as head_of_copy},
    grpc,
    http1::{Framing, Piece},
    lane::Dispatched,
    pieces::Pieces,
    request::Asked,
    send::{Delivery, NoAnswer, Tries},
    watch::{Phase, Watch},
    way::Chosen,
};
use http::request::Parts;
use std::{fmt, future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll};
use tokio::time::sleep_until;
use traffic::{
    Backend, Failure, Found, Generation, Outcome, Permit, RouteState, View, state::backend::Limit,
};

/// Copies the request of `head` and `body` as its route, which was `found`, and what was `chosen` for it ask for. The copies
/// leave when the body has come whole.
pub(crate) fn copy(
    ask: &Ask,
    view: &View,
    found: &Found<'_>,
    chosen: &Chosen<'_>,
    head: &Parts,
    body: &mut RequestBody,
) {
    if !found.has_actions {
        return;
    }
    let length = match body.framing() {
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let points = &ask.client.worker.mirror_points;
    let copies: Vec<Pending> = copies(chosen.mirrors(found), found.state, length, points)
        .map(|copy| Pending {
            place: copy.place,
            backend: copy.mirror.backend.clone(),
            limit: copy.mirror.max_body_bytes,
            permit: copy.permit,
        })
        .collect();
    if copies.is_empty() {
        return;
    }
    body.set_tee(Tee {
        ask: ask.clone(),
        generation: view.generation(),
        state: Arc::clone(found.state),
        head: head_of_copy(head),
        framing: body.framing(),
        pieces: Pieces::default(),
        copies,
    });
}

/// Gets the pieces of a body for copies of its request.
pub(crate) struct Tee {
    ask: Ask,
    generation: Generation,
    state: Arc<RouteState>,
    head: Parts,
    framing: Framing,
    pieces: Pieces,
    copies: Vec<Pending>,
}

struct Pending {
    place: usize,
    backend: Backend,
    limit: usize,
    permit: Permit,
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee")
            .field("bytes", &self.pieces.bytes())
            .finish_non_exhaustive()
    }
}

impl Tee {
    /// Takes one more piece. A copy that would become too large is dropped.
    pub(crate) fn take(&mut self, piece: &Piece) {
        if self.copies.is_empty() {
            return;
        }
        self.pieces.push(piece);
        let (bytes, state) = (self.pieces.bytes(), &self.state);
        self.copies.retain(|copy| {
            let fits = bytes <= copy.limit;
            if !fits {
                state.mirror_dropped(copy.place);
            }
            fits
        });
        if self.copies.is_empty() {
            self.pieces = Pieces::default();
        }
    }

    /// The body has come whole: the copies leave.
    pub(crate) fn end(mut self) {
        for copy in self.copies {
            let watch = Rc::new(Watch::of(&self.ask.client.worker));
            let body = RequestBody::of(self.pieces.sealed(), self.framing, &watch);
            let ask = Ask {
                client: Rc::clone(&self.ask.client),
                watch,
                early: Early::Nowhere,
            };
            let (generation, head) = (self.generation, self.head.clone());
            contain::spawn(&self.ask.client.worker, "a copy of a request", move || {
                send(ask, copy, generation, head, body)
            });
        }
    }
}

/// Sends a copy, and throws the answer away.
async fn send(ask: Ask, copy: Pending, generation: Generation, head: Parts, body: RequestBody) {
    let watch = Rc::clone(&ask.watch);
    watch.enter(Phase::Connect);
    let mut exchange = pin!(exchange(&ask, &copy.backend, generation, head, body));
    let mut alarm = pin!(sleep_until(watch.deadline()));
    let _ended = poll_fn(|context| {
        poll_watched(&watch, alarm.as_mut(), context, |context| {
            exchange.as_mut().poll(context)
        })
    })
    .await;
    drop(copy.permit);
}

async fn exchange(
    ask: &Ask,
    backend: &Backend,
    generation: Generation,
    mut head: Parts,
    mut body: RequestBody,
) {
    let worker = &ask.client.worker;
    let now = worker.turn.elapsed();
    let service = worker.balancer.service(backend, generation, now);
    let Ok(permit) = service.admit(Limit::Requests) else {
        return;
    };
    let is_grpc = grpc::is_grpc(&head.headers);
    let lane = worker.lanes.of(&backend.series);
    let mut sent = Dispatched::begin(lane, false);
    let mut asked = Asked::new(&mut head, None, &ask.client.peer);
    let mut answered = None;
    let mut delivery = Delivery {
        ask,
        backend,
        service: &service,
        key: None,
        asked: &mut asked,
        body: &mut body,
        is_looked_at: true,
        tries: Tries::default(),
        sent: &mut sent,
        permit: Some(permit),
        answered: &mut answered,
        account: None,
    };
    let status = match delivery.send().await {
        Ok(status) => status.as_u16(),
        Err(NoAnswer::Version(failure)) => return sent.end(answer::failed(failure)),
        Err(NoAnswer::Client(_)) => return,
    };
    let Some(mut answered) = answered else { return };
    ask.watch.enter(Phase::Transfer);
    let head = answered.exchange.take_answer().parts;
    let mut verdict = is_grpc.then(|| grpc::Verdict::of(&head.headers));
    let is_whole = poll_fn(|context| {
        let _ = answered
            .exchange
            .poll_upload(&mut body, &ask.watch, context);
        loop {
            match answered.exchange.poll_piece(context) {
                Poll::Ready(Ok(Piece::End)) => return Poll::Ready(true),
                Poll::Ready(Ok(piece)) => {
                    ask.watch.moved();
                    if let (Some(verdict), Piece::Trailers(trailers)) = (&mut verdict, &piece) {
                        verdict.see(trailers);
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    let seen = if is_whole && status < 500 {
        Seen::Success
    } else {
        Seen::Failure
    };
    answered.attempt.end(seen, worker.turn.elapsed());
    if is_whole {
        sent.end(grpc::outcome(verdict, status));
        answered.exchange.finish(&worker.pool);
    } else {
        let reason = Failure::BodyCut;
        sent.end(Outcome::Failed { status, reason });
    }
}
