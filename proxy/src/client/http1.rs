//! A client's connection that speaks HTTP/1.

mod hangup;
mod io;

pub(crate) use io::Io;

use super::{Ask, Client, Early, end, poll_watched};
use crate::{
    account::Account,
    answer::Refusal,
    body::RequestBody,
    forward::forward,
    http1::{
        Decoder, Framing, HeadReader, Piece, Reason, RequestFault, RequestHead, StatusLine,
        write_response,
    },
    input::{HEAD_ROOM, poll_read},
    request::{Asked, needs_map},
    response::{Cut, ResponseBody},
    stream::Stream,
    upstream::http1::put,
    watch::{Phase, Watch},
};
use bytes::BytesMut;
use http::{Method, Response, StatusCode, Version};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::time::sleep_until;

/// How HTTP ended on a connection.
pub(crate) enum Ended {
    /// In order.
    Done,
    /// In order for us, but the client may still be sending.
    Unread,
    /// It becomes the tunnel that [`Io`] has.
    Tunnel,
    /// It failed, or took too long.
    Broken,
}

/// Serves the connection to its end. `input` is what has been read of it.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut) {
    let worker = Rc::clone(&client.worker);
    let watch = Rc::new(Watch::of(&worker));
    if !input.is_empty() {
        watch.received();
    }
    let io = Io::new(&client, stream, input, &watch);
    let ended = {
        let mut session = pin!(session(&io));
        let mut alarm = pin!(sleep_until(watch.deadline()));
        let mut drain = pin!(worker.drain.notified());
        let mut waits = false;
        poll_fn(|context| {
            // Polled once, for its waker, which stays this task's; what it is woken for is looked up.
            if !std::mem::replace(&mut waits, true) {
                let _ = drain.as_mut().poll(context);
            }
            poll_watched(&watch, alarm.as_mut(), context, |context| {
                session.as_mut().poll(context)
            })
        })
        .await
        .unwrap_or(Ended::Broken)
    };
    let Some(io) = Rc::into_inner(io) else { return };
    io.forget_hangup();
    io.release();
    let is_cut = io.ends_answer.get();
    let stream = io.stream.into_inner();
    match ended {
        Ended::Done => end(stream, false).await,
        Ended::Unread => end(stream, true).await,
        Ended::Tunnel => {
            let Some(tunnel) = io.tunnel.take() else {
                return;
            };
            let _begun = worker.tunnel();
            let ahead = io.input.into_inner().freeze();
            // In a box, as few connections become one.
            Box::pin(tunnel.run(stream, ahead, &watch)).await;
        }
        // RFC 9112 section 8: an orderly end would make the part that was sent a whole answer.
        Ended::Broken if is_cut => stream.reset(),
        Ended::Broken => {}
    }
}

/// Serves one request after the other, each at a desk of the worker's.
async fn session(io: &Rc<Io>) -> Ended {
    let worker = &io.client.worker;
    let mut served = 0;
    while is_asked(io).await {
        served += 1;
        let most = worker.limits.requests_per_connection;
        io.is_last.set(most.is_some_and(|most| served >= most));
        let mut desk = worker.http1_desks.take(Rc::clone(io), || serve_one);
        let next = desk.done().await;
        worker.http1_desks.put(desk);
        if let Next::End(ended) = next {
            return ended;
        }
    }
    Ended::Done
}

/// Waits for the first of a request. None comes when the client has ended, or the connection is to end before it.
async fn is_asked(io: &Io) -> bool {
    let mut polls = 0;
    poll_fn(|context| {
        let mut input = io.input.borrow_mut();
        if !input.is_empty() {
            return Poll::Ready(true);
        }
        polls += 1;
        // Something came since the first time. Once it was told to wait, it is woken in its turn.
        if polls == 2 && io.client.worker.admission.holds(context) {
            return Poll::Pending;
        }
        poll_input(io, &mut input, context)
    })
    .await
}

/// What follows a request.
pub(crate) enum Next {
    Request,
    End(Ended),
}

/// Reads more of what the client sends, if it sends more.
fn poll_input(io: &Io, input: &mut BytesMut, context: &mut Context<'_>) -> Poll<bool> {
    let stream = &mut io.stream.borrow_mut();
    match poll_read(stream, input, HEAD_ROOM, &io.spares, context) {
        Poll::Ready(Ok(read)) if read > 0 => {
            io.watch.received();
            Poll::Ready(true)
        }
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending => {
            // Closed at once, it would lose a request that is on its way.
            if let Some(until) = io.client.worker.idle_until() {
                io.watch.idle_until(until);
            }
            if input.is_empty() {
                // An idle connection keeps no memory, and one descriptor.
                io.forget_hangup();
                io.spares.reclaim(input);
                io.outbox.borrow_mut().release(&io.spares);
            }
            Poll::Pending
        }
    }
}

/// Tells a client that what it sent is no HTTP that can be passed on.
async fn reject(io: &Io, fault: RequestFault) -> Ended {
    let mut response = Refusal::Malformed(fault).unrouted(&io.client, None);
    // Text is all that such an answer has.
    let reader = Reader {
        version: Version::HTTP_11,
        is_head: false,
        takes_trailers: false,
    };
    let written = write(io, &reader, &mut response, false).await;
    match written {
        Ok(()) => Ended::Unread,
        Err(_) => Ended::Broken,
    }
}

/// Reads a request, the first of which has come, and answers it.
async fn serve_one(io: &Rc<Io>) -> Next {
    let mut request = Request { io, head: None };
    match request.read_head().await {
        Ok(()) => pin!(request.answer()).await,
        Err(fault) => Next::End(reject(io, fault).await),
    }
}

/// A request, which stays where it is read, as it is large to be moved.
struct Request<'a> {
    io: &'a Rc<Io>,
    head: Option<RequestHead>,
}

impl Request<'_> {
    /// Reads the head. There is none when the client has ended, or the connection is to end before it.
    async fn read_head(&mut self) -> Result<(), RequestFault> {
        let Self { io, head } = self;
        let client = &io.client;
        let worker = &client.worker;
        let mut reader = HeadReader::default();
        let is_noted = Account::is_wanted(worker);
        let looks_at = |name: &[u8], value: &[u8]| is_noted || needs_map(name, value, &client.peer);
        poll_fn(|context| {
            let mut input = io.input.borrow_mut();
            loop {
                if !input.is_empty() {
                    let limits = &worker.head_limits;
                    reader.request(&mut input, limits, looks_at, || io.spares.take_map(), head)?;
                    if head.is_some() {
                        return Poll::Ready(Ok(()));
                    }
                }
                if !ready!(poll_input(io, &mut input, context)) {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Answers it.
    async fn answer(&mut self) -> Next {
        let io = self.io;
        let client = &io.client;
        let Some(head) = &mut self.head else {
            return Next::End(Ended::Done);
        };
        let framing = head.framing;
        let reader = Reader {
            version: head.parts.version,
            is_head: head.parts.method == Method::HEAD,
            takes_trailers: head.takes_trailers,
        };
        // What the route of an earlier request allowed is over.
        io.watch.limit(client.worker.timeouts, None);
        *io.decoder.borrow_mut() = Decoder::new(framing, &client.worker.head_limits);
        io.waits_to_continue
            .set(head.expects_continue && !matches!(framing, Framing::None));
        let mut body = RequestBody::http1(io, framing, &io.watch);
        let ask = Ask {
            client: Rc::clone(client),
            watch: Rc::clone(&io.watch),
            early: if reader.version == Version::HTTP_11 {
                Early::Http1(Rc::clone(io))
            } else {
                Early::Nowhere
            },
        };
        let mut asked = Asked::new(&mut head.parts, head.lines.take(), &client.peer);
        let mut answer = None;
        {
            let mut forwarding = pin!(forward(&ask, &mut asked, &mut body, &mut answer));
            poll_fn(|context| {
                let forwarded = forwarding.as_mut().poll(context);
                let is_gone = forwarded.is_pending()
                    && (io.poll_flush(context).is_err() || io.poll_gone(context).is_ready());
                if is_gone { Poll::Ready(()) } else { forwarded }
            })
            .await;
        }
        let Some(response) = &mut answer else {
            return Next::End(Ended::Broken);
        };
        // Nobody asks the client to go on with a body that it holds back.
        let holds_back = io.waits_to_continue.take();
        let keep_alive = head.keep_alive
            && !io.is_last.get()
            && !holds_back
            && !client.worker.is_draining()
            && response.body().lets_stay()
            && self::framing(&reader, response) != Framing::UntilClose;
        let written = write(io, &reader, response, keep_alive).await;
        io.spares.put_map(response.headers_mut());
        let tunnel = response.body_mut().take_tunnel();
        // What it holds is given back before the next request is waited for.
        drop(answer);
        if written.is_err() {
            return Next::End(Ended::Broken);
        }
        if let Some(tunnel) = tunnel {
            io.tunnel.set(Some(tunnel));
            return Next::End(Ended::Tunnel);
        }
        io.watch.enter(Phase::Idle);
        let is_whole = io.skip_body();
        match (keep_alive, is_whole) {
            (true, true) => Next::Request,
            (false, true) => Next::End(Ended::Done),
            (_, false) => Next::End(Ended::Unread),
        }
    }
}

/// What of a request decides how its answer is written.
struct Reader {
    version: Version,
    /// Whether nobody is to be sent a body (RFC 9110 section 9.3.2).
    is_head: bool,
    /// RFC 9110 section 6.5.1: only who says so is sure to take them.
    takes_trailers: bool,
}

/// Why an answer was not written to its end.
enum Unwritten {
    /// The version's answer broke off.
    Cut,
    /// The client is gone.
    Gone,
}

impl From<Cut> for Unwritten {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

/// Writes `response` as its body comes.
async fn write(
    io: &Io,
    reader: &Reader,
    response: &mut Response<ResponseBody>,
    keep_alive: bool,
) -> Result<(), Unwritten> {
    let framing = framing(reader, response);
    io.ends_answer.set(framing == Framing::UntilClose);
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut encoder = {
        let mut outbox = io.outbox.borrow_mut();
        let keep_alive = keep_alive || is_tunnel;
        let (status, headers) = (response.status(), response.headers());
        let lines = response.body().lines();
        outbox.lend(&io.spares);
        let reason = response.extensions().get::<Reason>();
        let out = outbox.buffer();
        let line = StatusLine {
            version_of_client: reader.version,
            status,
            reason,
        };
        write_response(out, &line, headers, lines, &framing, keep_alive)
    };
    let mut trailers = None;
    let body = response.body_mut();
    let mut has_ended = false;
    poll_fn(|context| {
        // Whoever does not send on is not sent on to, or nobody would notice that it has gone.
        body.poll_upload(context).map_err(|_| Unwritten::Gone)?;
        loop {
            if !has_ended && io.outbox.borrow().has_room() {
                let copy = |data: &[u8]| encoder.data(data, io.outbox.borrow_mut().buffer());
                if framing != Framing::None && body.copy_piece(copy).map_err(|_| Unwritten::Cut)? {
                    continue;
                }
                match body.poll_piece(context) {
                    // To a HEAD nobody is sent a body.
                    Poll::Ready(Ok(Piece::Data(_))) if framing == Framing::None => continue,
                    Poll::Ready(Ok(Piece::Data(data))) => {
                        let mut outbox = io.outbox.borrow_mut();
                        // A body that is longer than it said cannot be told from the next answer.
                        put(&mut encoder, data, &mut outbox).map_err(|_| Unwritten::Cut)?;
                        continue;
                    }
                    Poll::Ready(Ok(Piece::Trailers(sent))) => {
                        trailers = Some(sent).filter(|_| reader.takes_trailers);
                        continue;
                    }
                    Poll::Ready(Ok(Piece::End)) => {
                        has_ended = true;
                        let mut outbox = io.outbox.borrow_mut();
                        let ended = encoder.end(trailers.as_deref(), outbox.buffer());
                        ended.map_err(|_| Unwritten::Cut)?;
                    }
                    Poll::Ready(Err(cut)) => {
                        // What has come before goes out before the connection is closed.
                        let _ = io.poll_flush(context);
                        return Poll::Ready(Err(cut.into()));
                    }
                    Poll::Pending => {}
                }
            }
            let mut outbox = io.outbox.borrow_mut();
            if outbox.is_empty() {
                return if has_ended {
                    io.ends_answer.set(false);
                    Poll::Ready(Ok(()))
                } else if io.poll_gone(context).is_ready() {
                    Poll::Ready(Err(Unwritten::Gone))
                } else {
                    Poll::Pending
                };
            }
            let mut stream = io.stream.borrow_mut();
            let written = outbox.poll_write(&mut *stream, &io.watch, context);
            if written.is_pending() {
                body.gather(context);
            }
            ready!(written).map_err(|_| Unwritten::Gone)?;
        }
    })
    .await
}

/// How the client gets the body of `response`.
fn framing(reader: &Reader, response: &Response<ResponseBody>) -> Framing {
    let status = response.status();
    let is_bodiless = reader.is_head
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    match response.body().framing() {
        _ if is_bodiless => Framing::None,
        Framing::None => Framing::Length(0),
        Framing::Length(length) => Framing::Length(length),
        // HTTP/1.0 knows no chunks.
        Framing::Chunked | Framing::UntilClose if reader.version == Version::HTTP_10 => {
            Framing::UntilClose
        }
        Framing::Chunked | Framing::UntilClose => Framing::Chunked,
    }
}
