//! A client's connection that speaks HTTP/2.

mod meter;
mod room;

pub(crate) use room::Purse;

use super::{Ask, Client, Early, poll_watched};
use crate::{
    answer::Refusal,
    body::RequestBody,
    contain,
    forward::forward,
    headers,
    http1::{Framing, HeadFault, HeadLimits, Piece, RequestFault},
    incoming::Incoming,
    request::{Asked, check_http2},
    response::ResponseBody,
    stream::Stream,
    turn::Turn,
    upstream::http2::Outgoing,
    watch::{Phase, Watch},
    worker::small_frames,
};
use bytes::{Bytes, BytesMut};
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::{
    HeaderMap, HeaderValue, Method, Response, Version,
    header::{CONTENT_LENGTH, COOKIE, EXPECT},
    request::Parts,
};
use meter::Metered;
use room::{Bodies, Room};
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes that wait to be sent on one stream beyond what its window takes.
const SEND_BUFFER: usize = 64 * 1024;

/// How long a client may take, with nothing under way, to agree that its connection ends. It is asked by a PING, which
/// it may leave unanswered. Less where a connection may not even lie idle for so long.
const FAREWELL: Duration = Duration::from_secs(2);

/// The builder of connections as `limits` say.
pub(crate) fn builder(limits: &crate::Limits) -> Builder {
    let http2 = limits.http2;
    let mut builder = Builder::new();
    builder
        .initial_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .data_frame_budget(small_frames(http2.connection_window))
        .max_concurrent_streams(http2.concurrent_streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(http2.pending_resets)
        .max_local_error_reset_streams(Some(http2.local_resets))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// Serves the connection to its end. `input` is what has been read of it.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut) {
    let worker = &client.worker;
    let metered = Metered::new(stream, input, worker.limits.http2.control_frames);
    worker.turn.begin();
    let open = Rc::new(Open::new(&worker.turn));
    let room = Room::new(
        worker.limits.http2.connection_window,
        Rc::clone(&open.bodies),
        metered.data(),
        Rc::clone(&worker.purse),
    );
    let handshake = worker.http2_server.handshake(metered);
    let connection = timeout(worker.timeouts.request_header, handshake).await;
    let Ok(Ok(connection)) = connection else {
        return;
    };
    drive(&client, connection, open, room).await;
}

/// Begins a task for each request, until the connection ends, lies idle for too long, or has to end for draining.
async fn drive(
    client: &Rc<Client>,
    mut connection: Connection<Metered, Bytes>,
    open: Rc<Open>,
    mut room: Room,
) {
    let worker = &client.worker;
    let mut alarm = pin!(sleep_until(open.deadline(worker.timeouts.keep_alive)));
    let mut drain = pin!(worker.drain.notified());
    let mut is_ending = false;
    let mut served = 0_u64;
    poll_fn(|context| {
        worker.turn.begin();
        let _ = drain.as_mut().poll(context);
        loop {
            let may_grow = !worker.is_short_of_memory();
            if let Some(size) = room.resize(may_grow) {
                connection.set_target_window_size(size);
            }
            let has_accepted = match connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    served += 1;
                    let (client, open) = (Rc::clone(client), open.begin());
                    let (head, body) = request.into_parts();
                    // What a task begins with is moved eight times, and a head is large.
                    let head = Box::new(head);
                    contain::spawn(worker, "a request", move || {
                        answer(client, head, body, respond, open)
                    });
                    true
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an HTTP/2 connection broke off");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => false,
            };
            let limit = worker.limits.requests_per_connection;
            let patience = match is_ending {
                false => worker.timeouts.keep_alive,
                true => FAREWELL.min(worker.timeouts.keep_alive),
            };
            let deadline = open.deadline(patience);
            let is_over = deadline <= worker.turn.now();
            if is_ending && is_over {
                return Poll::Ready(());
            }
            let must_end =
                worker.is_draining() || is_over || limit.is_some_and(|most| served >= most);
            if must_end && !is_ending {
                is_ending = true;
                open.touch();
                // The end is written by the next turn.
                connection.graceful_shutdown();
                continue;
            }
            if has_accepted {
                // More may have come with it, of which nothing else would tell.
                continue;
            }
            if let Some(size) = room.resize(may_grow) {
                connection.set_target_window_size(size);
                // The client is told by the next turn.
                continue;
            }
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
    })
    .await;
}

/// The requests under way on a connection.
#[derive(Debug)]
struct Open {
    count: Cell<usize>,
    /// Since when there is none.
    since: Cell<Instant>,
    bodies: Rc<Bodies>,
    turn: Rc<Turn>,
}

impl Open {
    /// None yet.
    fn new(turn: &Rc<Turn>) -> Self {
        Self {
            count: Cell::new(0),
            since: Cell::new(turn.now()),
            bodies: Rc::default(),
            turn: Rc::clone(turn),
        }
    }

    fn begin(self: &Rc<Self>) -> OpenStream {
        self.count.set(self.count.get() + 1);
        OpenStream(Rc::clone(self))
    }

    /// Counts the time without requests from now on.
    fn touch(&self) {
        self.since.set(self.turn.now());
    }

    /// When the connection has had no request for `patience`.
    fn deadline(&self, patience: Duration) -> Instant {
        let since = match self.count.get() {
            0 => self.since.get(),
            _ => self.turn.now(),
        };
        since + patience
    }
}

/// A request that is under way.
#[derive(Debug)]
struct OpenStream(Rc<Open>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.touch();
    }
}

/// Answers the request of `head`.
async fn answer(
    client: Rc<Client>,
    head: Box<Parts>,
    stream: RecvStream,
    respond: SendResponse<Bytes>,
    open: OpenStream,
) {
    let watch = Rc::new(Watch::of(&client.worker));
    watch.enter(Phase::Upload);
    let respond = Rc::new(RefCell::new(respond));
    let mut alarm = pin!(sleep_until(watch.deadline()));
    let body = (!stream.is_end_stream()).then(|| Rc::new(RefCell::new(Incoming::new(stream))));
    if let Some(body) = &body {
        open.0.bodies.add(body);
    }
    let coming = body.as_ref().map_or_else(Weak::new, Rc::downgrade);
    let mut exchange = pin!(exchange(&client, &watch, head, body, &respond));
    let done = poll_fn(|context| {
        poll_watched(&watch, alarm.as_mut(), context, |context| {
            let polled = exchange.as_mut().poll(context);
            if polled.is_pending()
                && let Some(body) = coming.upgrade()
            {
                body.borrow_mut().gather(context);
            }
            polled
        })
    })
    .await;
    if done.is_none() {
        respond.borrow_mut().send_reset(Reason::CANCEL);
    }
}

async fn exchange(
    client: &Rc<Client>,
    watch: &Rc<Watch>,
    mut parts: Box<Parts>,
    body: Option<Rc<RefCell<Incoming>>>,
    respond: &Rc<RefCell<SendResponse<Bytes>>>,
) {
    let is_head = parts.method == Method::HEAD;
    let mut answer = None;
    match check(&parts, &client.worker.head_limits) {
        Err(refusal) => answer = Some(refusal.unrouted(client, Some(&parts))),
        Ok(()) => {
            let ask = Ask {
                client: Rc::clone(client),
                watch: Rc::clone(watch),
                early: Early::Http2(Rc::clone(respond)),
            };
            let mut body = match body {
                Some(incoming) => {
                    let length = parts.headers.get(CONTENT_LENGTH).and_then(length_of);
                    let waits = headers::has_token(&parts.headers, &EXPECT, "100-continue");
                    let waiting = waits.then(|| ask.early.clone());
                    RequestBody::http2(incoming, length, waiting, watch)
                }
                None => RequestBody::none(watch),
            };
            let mut asked = Asked::new(&mut parts, None, &client.peer);
            let mut forwarding = pin!(forward(&ask, &mut asked, &mut body, &mut answer));
            poll_fn(|context| {
                let forwarded = forwarding.as_mut().poll(context);
                if forwarded.is_ready() {
                    return forwarded;
                }
                // A client that gives its request up.
                respond.borrow_mut().poll_reset(context).map(|_| ())
            })
            .await;
        }
    }
    if let Some(response) = answer {
        write(watch, response, respond, is_head).await;
    }
}

/// Whether a request can be passed on. The size of its head has been seen to by the library.
fn check(head: &Parts, limits: &HeadLimits) -> Result<(), Refusal> {
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if target > limits.uri_bytes {
        return Err(Refusal::Malformed(RequestFault::TargetTooLong));
    }
    // RFC 9113 section 8.2.3: a `Cookie` may come in as many pieces as there are cookies in it.
    let cookies = || head.headers.get_all(COOKIE).iter().count();
    let count = head.headers.len();
    if count > limits.headers && count - cookies().saturating_sub(1) > limits.headers {
        let too_many = RequestFault::Head(HeadFault::TooManyHeaders);
        return Err(Refusal::Malformed(too_many));
    }
    check_http2(head).map_err(Refusal::BadRequest)
}

/// Sends `response` as its body comes.
async fn write(
    watch: &Watch,
    response: Response<ResponseBody>,
    respond: &RefCell<SendResponse<Bytes>>,
    is_head: bool,
) {
    let (mut parts, mut body) = response.into_parts();
    parts.version = Version::HTTP_2;
    let framing = body.framing();
    announce(&mut parts.headers, framing, is_head);
    let is_empty = framing == Framing::None || is_head;
    let head = Response::from_parts(parts, ());
    let sent = respond.borrow_mut().send_response(head, is_empty);
    let Ok(stream) = sent else { return };
    let mut outgoing = Outgoing::new(stream);
    let mut has_ended = false;
    poll_fn(|context| {
        if body.poll_upload(context).is_err() {
            outgoing.reset(Reason::CANCEL);
            return Poll::Ready(());
        }
        loop {
            if is_empty {
                return match body.poll_piece(context) {
                    Poll::Ready(Ok(Piece::End) | Err(_)) => Poll::Ready(()),
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Pending => Poll::Pending,
                };
            }
            match outgoing.poll_room(watch, context) {
                Poll::Ready(Ok(())) if has_ended => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    body.gather(context);
                    return Poll::Pending;
                }
            }
            match body.poll_piece(context) {
                Poll::Ready(Ok(Piece::End)) => {
                    outgoing.end();
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(piece)) => {
                    outgoing.put(piece);
                    // What is the last piece says so itself.
                    if body.is_at_end()
                        && let Poll::Ready(Ok(Piece::End)) = body.poll_piece(context)
                    {
                        outgoing.end();
                        has_ended = true;
                    }
                }
                Poll::Ready(Err(cut)) => {
                    outgoing.reset(match cut.is_cancelled {
                        true => Reason::CANCEL,
                        false => Reason::INTERNAL_ERROR,
                    });
                    return Poll::Ready(());
                }
                Poll::Pending => return outgoing.poll_reset(context),
            }
        }
    })
    .await;
}

/// Says how long the body is, where that is known and the head does not say it.
fn announce(headers: &mut HeaderMap, framing: Framing, is_head: bool) {
    let Framing::Length(length) = framing else {
        return;
    };
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    let is_first = said
        .next()
        .is_some_and(|said| length_of(said) == Some(length));
    let is_said = is_first && said.next().is_none();
    if !is_head && !is_said {
        headers.insert(CONTENT_LENGTH, length.into());
    }
}

/// The number that a `Content-Length` is.
fn length_of(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}
