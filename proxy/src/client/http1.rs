//! A client's connection that speaks HTTP/1.

mod hangup;
mod io;

pub(crate) use io::Io;

use super::{Ask, Client, Early, linger, poll_watched, say_goodbye};
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
    tunnel::Tunnel,
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
    /// It became a tunnel.
    Tunnel(Box<Tunnel>),
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
    let io = Io::new(stream, input, &watch, &worker);
    let ended = {
        let mut session = pin!(session(&client, &io, &watch));
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
    let mut stream = io.stream.into_inner();
    match ended {
        // A socket by itself says as much when it is closed.
        Ended::Done if stream.is_tls() => say_goodbye(&mut stream).await,
        Ended::Done => {}
        Ended::Unread => {
            say_goodbye(&mut stream).await;
            linger(stream).await;
        }
        Ended::Tunnel(tunnel) => {
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
async fn session(client: &Rc<Client>, io: &Rc<Io>, watch: &Rc<Watch>) -> Ended {
    let worker = &client.worker;
    let mut served = 0;
    while is_asked(client, io).await {
        served += 1;
        let most = worker.limits.requests_per_connection;
        let job = Job {
            client: Rc::clone(client),
            io: Rc::clone(io),
            watch: Rc::clone(watch),
            is_last: most.is_some_and(|most| served >= most),
        };
        let mut desk = worker.http1_desks.take(job, || serve_one);
        let next = desk.done().await;
        worker.http1_desks.put(desk);
        if let Next::End(ended) = next {
            return ended;
        }
    }
    Ended::Done
}

/// Waits for the first of a request. None comes when the client has ended, or the connection is to end before it.
async fn is_asked(client: &Client, io: &Io) -> bool {
    let mut polls = 0;
    poll_fn(|context| {
        let mut input = io.input.borrow_mut();
        if !input.is_empty() {
            return Poll::Ready(true);
        }
        polls += 1;
        // Something came since the first time. Once it was told to wait, it is woken in its turn.
        if polls == 2 && client.worker.admission.holds(context) {
            return Poll::Pending;
        }
        poll_input(client, io, &mut input, context)
    })
    .await
}

/// A request to be read and answered.
pub(crate) struct Job {
    client: Rc<Client>,
    io: Rc<Io>,
    watch: Rc<Watch>,
    /// Whether the connection ends with it.
    is_last: bool,
}

/// What follows a request.
pub(crate) enum Next {
    Request,
    End(Ended),
}

/// Reads more of what the client sends, if it sends more.
fn poll_input(
    client: &Client,
    io: &Io,
    input: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<bool> {
    let stream = &mut io.stream.borrow_mut();
    match poll_read(stream, input, HEAD_ROOM, &io.spares, context) {
        Poll::Ready(Ok(read)) if read > 0 => {
            io.watch.received();
            Poll::Ready(true)
        }
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending => {
            // Closed at once, it would lose a request that is on its way.
            if let Some(until) = client.worker.idle_until() {
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

/// Reads the head of a request into `head`, where it stays, as it is large to be moved. There is none when the client has
/// ended, or the connection is to end before it.
async fn read_head(
    client: &Client,
    io: &Io,
    head: &mut Option<RequestHead>,
) -> Result<(), RequestFault> {
    let worker = &client.worker;
    let mut reader = HeadReader::default();
    let is_noted = Account::is_wanted(worker);
    let looks_at = |name: &[u8], value: &[u8]| is_noted || needs_map(name, value, &client.peer);
    poll_fn(|context| {
        let mut input = io.input.borrow_mut();
        loop {
            if !input.is_empty() {
                let limits = &worker.head_limits;
                *head = reader.request(&mut input, limits, looks_at, || io.spares.take_map())?;
                if head.is_some() {
                    return Poll::Ready(Ok(()));
                }
            }
            if !ready!(poll_input(client, io, &mut input, context)) {
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}

/// Tells a client that what it sent is no HTTP that can be passed on.
async fn reject(client: &Client, io: &Io, fault: RequestFault) -> Ended {
    let mut response = Refusal::Malformed(fault).unrouted(client, None);
    // Text is all that such an answer has.
    let reader = Reader {
        version: Version::HTTP_11,
        method: Method::GET,
        takes_trailers: false,
    };
    let written = write(io, &reader, &mut response, false).await;
    match written {
        Ok(()) => Ended::Unread,
        Err(_) => Ended::Broken,
    }
}

/// Reads a request, the first of which has come, and answers it.
async fn serve_one(job: &Job) -> Next {
    let Job {
        client,
        io,
        watch,
        is_last,
    } = job;
    let mut head = None;
    if let Err(fault) = read_head(client, io, &mut head).await {
        return Next::End(reject(client, io, fault).await);
    }
    match &mut head {
        Some(head) => pin!(answer(client, io, watch, head, *is_last)).await,
        None => Next::End(Ended::Done),
    }
}

/// Answers one request.
async fn answer(
    client: &Rc<Client>,
    io: &Rc<Io>,
    watch: &Rc<Watch>,
    head: &mut RequestHead,
    is_last: bool,
) -> Next {
    let framing = head.framing;
    let reader = Reader {
        version: head.parts.version,
        method: head.parts.method.clone(),
        takes_trailers: head.takes_trailers,
    };
    // What the route of an earlier request allowed is over.
    watch.limit(client.worker.timeouts, None);
    *io.decoder.borrow_mut() = Decoder::new(framing, &client.worker.head_limits);
    io.waits_to_continue
        .set(head.expects_continue && !matches!(framing, Framing::None));
    let mut body = RequestBody::http1(io, framing, watch);
    let ask = Ask {
        client: Rc::clone(client),
        watch: Rc::clone(watch),
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
        && !is_last
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
        return Next::End(Ended::Tunnel(tunnel));
    }
    watch.enter(Phase::Idle);
    let is_whole = io.skip_body();
    match (keep_alive, is_whole) {
        (true, true) => Next::Request,
        (false, true) => Next::End(Ended::Done),
        (_, false) => Next::End(Ended::Unread),
    }
}

/// What of a request decides how its answer is written.
struct Reader {
    version: Version,
    method: Method,
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
    let is_bodiless = reader.method == Method::HEAD
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
