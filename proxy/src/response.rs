//! The body of an answer on its way to the client, with what has to be seen of it: whether it moves, and how it ends.

use crate::{
    account::Account,
    balance::{Permit, Seen},
    body::{BodyError, RequestBody},
    drains::Draining,
    grpc::{self, Verdict},
    headers,
    http1::{Framing, Lines, Piece},
    lane::Dispatched,
    send::{Answered, Attempt},
    tunnel::Tunnel,
    upstream::Exchange,
    watch::{Phase, Watch},
    worker::Worker,
};
use bytes::Bytes;
use std::{
    fmt,
    rc::Rc,
    task::{Context, Poll},
};
use traffic::{Failure, FailureRule, Outcome};

/// The status of an answer that begins a tunnel.
const SWITCHED: u16 = 101;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    kind: Kind,
    account: Option<Box<Account>>,
    /// The request's place among those that its route lets be under way.
    permit: Option<traffic::Permit>,
}

#[derive(Debug)]
enum Kind {
    /// The proxy's own words.
    Text { text: Bytes, lets_stay: bool },
    /// What an endpoint sends.
    Passing(Place),
    /// None: the connection becomes a tunnel.
    Tunnel(Box<Tunnel>),
}

impl ResponseBody {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            account: None,
            permit: None,
        }
    }

    /// Notes how the answer ends.
    pub(crate) fn keep_account(&mut self, account: Box<Account>) {
        self.account = Some(account);
    }

    /// Holds the request's place until the answer has ended.
    pub(crate) fn keep_permit(&mut self, permit: Option<traffic::Permit>) {
        self.permit = permit;
    }

    /// Ends the tunnel, if it is one, as `drain` says.
    pub(crate) fn drain(&mut self, drain: Option<Draining>) {
        if let Kind::Tunnel(tunnel) = &mut self.kind {
            tunnel.drain = drain;
        }
    }

    /// The proxy's own words.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self::of(Kind::Text {
            text,
            lets_stay: true,
        })
    }

    /// The proxy's own words, after which the client's connection is closed.
    pub(crate) fn last_words(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self::of(Kind::Text {
            text,
            lets_stay: false,
        })
    }

    /// What an endpoint sends.
    pub(crate) fn passing(passing: Place) -> Self {
        Self::of(Kind::Passing(passing))
    }

    /// What an endpoint sends, if it does.
    fn passed(&self) -> Option<&Passing> {
        match &self.kind {
            Kind::Passing(place) => place.get(),
            Kind::Text { .. } | Kind::Tunnel(_) => None,
        }
    }

    fn passed_mut(&mut self) -> Option<&mut Passing> {
        match &mut self.kind {
            Kind::Passing(place) => place.get_mut(),
            Kind::Text { .. } | Kind::Tunnel(_) => None,
        }
    }

    /// The answer's headers that are not in its head.
    pub(crate) fn lines(&self) -> Option<&Lines> {
        self.passed()?.lines.as_ref()
    }

    /// No body: the connection becomes `tunnel` after the head.
    pub(crate) fn tunnel(tunnel: Tunnel) -> Self {
        Self::of(Kind::Tunnel(Box::new(tunnel)))
    }

    /// Whether the client's connection may carry another request.
    pub(crate) fn lets_stay(&self) -> bool {
        match &self.kind {
            Kind::Text { lets_stay, .. } => *lets_stay,
            Kind::Passing(_) => true,
            Kind::Tunnel(_) => false,
        }
    }

    /// How it is framed.
    pub(crate) fn framing(&self) -> Framing {
        match &self.kind {
            // A gRPC client takes a status in the head for one only when the head is all there is.
            Kind::Text { text, .. } if text.is_empty() => Framing::None,
            Kind::Text { text, .. } => Framing::Length(text.len() as u64),
            Kind::Passing(place) => place.get().map_or(Framing::None, |passing| passing.framing),
            Kind::Tunnel(_) => Framing::None,
        }
    }

    /// The next piece; [`Piece::End`] is the last.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Cut>> {
        let piece = match &mut self.kind {
            Kind::Text { text, .. } if text.is_empty() => Poll::Ready(Ok(Piece::End)),
            Kind::Text { text, .. } => Poll::Ready(Ok(Piece::Data(std::mem::take(text)))),
            Kind::Passing(place) => match place.get_mut() {
                Some(passing) => passing.poll_piece(context),
                None => Poll::Ready(Ok(Piece::End)),
            },
            Kind::Tunnel(_) => Poll::Ready(Ok(Piece::End)),
        };
        if self.account.is_some() {
            self.note(&piece);
        }
        piece
    }

    /// Gives the next piece to `copy` if it is here, and is little data of an endpoint's that nobody notes; else it is to be polled
    /// for. Whether it was given.
    ///
    /// # Errors
    /// What `copy` says.
    pub(crate) fn copy_piece<E>(
        &mut self,
        copy: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let is_noted = self.account.is_some();
        match self.passed_mut() {
            Some(passing) if !is_noted => passing.copy_piece(copy),
            _ => Ok(false),
        }
    }

    /// Whether it has come, all but [`Piece::End`].
    pub(crate) fn is_at_end(&self) -> bool {
        match &self.kind {
            Kind::Text { text, .. } => text.is_empty(),
            Kind::Passing(place) => {
                let exchange = place.get().and_then(|passing| passing.exchange.as_ref());
                exchange.is_none_or(Exchange::is_at_end)
            }
            Kind::Tunnel(_) => true,
        }
    }

    /// Lets what an endpoint sends come, though nobody has room for the next piece.
    pub(crate) fn gather(&mut self, context: &mut Context<'_>) {
        if let Some(passing) = self.passed_mut()
            && let Some(exchange) = &mut passing.exchange
        {
            exchange.gather(context);
        }
    }

    fn note(&mut self, piece: &Poll<Result<Piece, Cut>>) {
        let Some(account) = &mut self.account else {
            return;
        };
        let passing = match &self.kind {
            Kind::Passing(place) => place.get(),
            Kind::Text { .. } | Kind::Tunnel(_) => None,
        };
        match piece {
            Poll::Ready(Ok(Piece::Data(data))) => account.sent(data.len() as u64),
            Poll::Ready(Ok(Piece::End)) if matches!(self.kind, Kind::Tunnel(_)) => {
                account.attempt_ended(Some(SWITCHED), None);
            }
            Poll::Ready(Ok(Piece::End)) => {
                let (received, grpc) = passing.map_or((0, None), |passing| passing.noted());
                account.attempt_ended(passing.map(|passing| passing.status), None);
                account.ended(received, grpc);
            }
            Poll::Ready(Err(cut)) => {
                let (received, _) = passing.map_or((0, None), |passing| passing.noted());
                account.received(received);
                account.attempt_ended(
                    passing.map(|passing| passing.status),
                    Some(cut.reason.as_str()),
                );
                account.failed(cut.reason.as_str());
            }
            Poll::Ready(Ok(Piece::Trailers(_))) | Poll::Pending => {}
        }
    }

    /// Lets the rest of the request be sent, which may take longer than the head of the answer.
    ///
    /// # Errors
    /// When the client does not send it as it should. Then it is not to be answered any further.
    pub(crate) fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<(), BodyError> {
        match self.passed_mut() {
            Some(passing) => passing.poll_upload(context),
            None => Ok(()),
        }
    }

    /// The tunnel that the connection becomes, if it does. There is none after that.
    pub(crate) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        if !matches!(self.kind, Kind::Tunnel(_)) {
            return None;
        }
        let Self {
            kind,
            account,
            permit,
        } = std::mem::replace(self, Self::text(""));
        let Kind::Tunnel(mut tunnel) = kind else {
            return None;
        };
        tunnel.keep(account, permit);
        Some(tunnel)
    }
}

/// An answer under way, with all that has to be done at its end. Dropped before its end, it closes the connection to the
/// endpoint and counts the request as cancelled, as only the client's end drops it.
#[derive(Debug)]
pub(crate) struct Passing {
    /// What it comes from, until it has come whole.
    exchange: Option<Exchange>,
    attempt: Option<Attempt>,
    _permit: Option<Permit>,
    _drain: Option<Draining>,
    framing: Framing,
    /// Headers of the answer, as they came.
    lines: Option<Lines>,
    request: RequestBody,
    is_uploading: bool,
    sent: Dispatched,
    status: u16,
    grpc: Option<Verdict>,
    watch: Rc<Watch>,
    worker: Rc<Worker>,
}

/// What an answer is made of when its head has come.
pub(crate) struct Begun {
    pub(crate) answered: Answered,
    pub(crate) drain: Option<Draining>,
    pub(crate) framing: Framing,
    /// Those of its headers that are not in its head.
    pub(crate) lines: Option<Lines>,
    pub(crate) request: RequestBody,
    pub(crate) sent: Dispatched,
    pub(crate) status: u16,
    /// What is known of the call's end, if it is a gRPC call.
    pub(crate) grpc: Option<Verdict>,
}

/// Memory for an answer under way, which is a worker's and goes back to it with the answer's end. To ask the allocator for it
/// each time may take it a tenth of a small request's instructions, as its pages of that size may be filled by other things
/// that are there for long, so that a page is made and given up for each answer.
#[derive(Debug)]
pub(crate) struct Place(Option<Box<Option<Passing>>>);

impl Place {
    fn get(&self) -> Option<&Passing> {
        self.0.as_ref()?.as_ref().as_ref()
    }

    fn get_mut(&mut self) -> Option<&mut Passing> {
        self.0.as_mut()?.as_mut().as_mut()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut place) = self.0.take() else {
            return;
        };
        let worker = place
            .as_ref()
            .as_ref()
            .map(|passing| Rc::clone(&passing.worker));
        *place = None;
        if let Some(worker) = worker {
            worker.spares.put_place(place);
        }
    }
}

impl Passing {
    /// The answer that has `begun`.
    pub(crate) fn begin(mut begun: Begun, watch: &Rc<Watch>, worker: &Rc<Worker>) -> Place {
        watch.enter(Phase::Transfer);
        begun.request.keep_no_more();
        let mut place = worker.spares.take_place();
        *place = Some(Self {
            exchange: Some(begun.answered.exchange),
            attempt: Some(begun.answered.attempt),
            _permit: begun.answered.permit,
            _drain: begun.drain,
            framing: begun.framing,
            lines: begun.lines,
            request: begun.request,
            is_uploading: true,
            sent: begun.sent,
            status: begun.status,
            grpc: begun.grpc,
            watch: Rc::clone(watch),
            worker: Rc::clone(worker),
        });
        Place(Some(place))
    }

    fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<(), BodyError> {
        let Some(exchange) = self.exchange.as_mut().filter(|_| self.is_uploading) else {
            return Ok(());
        };
        match exchange.poll_upload(&mut self.request, &self.watch, context) {
            Poll::Pending => Ok(()),
            Poll::Ready(uploaded) => {
                self.is_uploading = false;
                uploaded
            }
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Cut>> {
        let Some(exchange) = &mut self.exchange else {
            return Poll::Ready(Ok(Piece::End));
        };
        match exchange.poll_piece(context) {
            Poll::Ready(Ok(mut piece)) => {
                self.watch.moved();
                match &mut piece {
                    Piece::Data(_) => {}
                    Piece::Trailers(trailers) => {
                        headers::remove_from_trailers(trailers);
                        if let Some(verdict) = &mut self.grpc {
                            verdict.see(trailers);
                        }
                    }
                    Piece::End => self.complete(),
                }
                Poll::Ready(Ok(piece))
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(self.fail(failure))),
            Poll::Pending if self.watch.is_over() => {
                Poll::Ready(Err(self.fail(Failure::IdleTimeout)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn copy_piece<E>(&mut self, copy: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<bool, E> {
        let Some(exchange) = &mut self.exchange else {
            return Ok(false);
        };
        let has_copied = exchange.copy_piece(copy)?;
        if has_copied {
            self.watch.moved();
        }
        Ok(has_copied)
    }

    /// Bytes of the request's body that came, and the gRPC status.
    fn noted(&self) -> (u64, Option<u16>) {
        let grpc = self.grpc.and_then(Verdict::status);
        (self.request.received(), grpc)
    }

    fn end_attempt(&mut self, seen: Seen) {
        if let Some(attempt) = self.attempt.take() {
            attempt.end(seen, self.worker.turn.elapsed());
        }
    }

    fn complete(&mut self) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let outcome = grpc::outcome(self.grpc, self.status);
        self.sent.end(outcome);
        // Whatever a rollout calls a failure, an endpoint is judged by the same rule always.
        self.end_attempt(if FailureRule::DEFAULT.is_failure(outcome) {
            Seen::Failure
        } else {
            Seen::Success
        });
        exchange.finish(&self.worker.pool);
    }

    fn fail(&mut self, reason: Failure) -> Cut {
        let exchange = self.exchange.take();
        let is_cancelled = exchange.is_some_and(|exchange| exchange.is_cancelled());
        let status = self.status;
        self.sent.end(Outcome::Failed { status, reason });
        self.end_attempt(Seen::Failure);
        self.watch.enter(Phase::Transfer);
        Cut {
            reason,
            is_cancelled,
        }
    }
}

/// The answer broke off, and the client's connection (or stream) with it: there is no other way to tell once the head
/// is sent.
#[derive(Debug)]
pub(crate) struct Cut {
    reason: Failure,
    /// Whether the endpoint said by HTTP/2 that it cancels the answer.
    pub(crate) is_cancelled: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response broke off: {}", self.reason.as_str())
    }
}

impl std::error::Error for Cut {}
