//! A request by HTTP/2, and the answer to it.

use super::open::OpenStream;
use crate::{
    account::Account,
    answer::Refusal,
    body::RequestBody,
    client::{Ask, Client, Early, poll_watched},
    forward::forward,
    headers,
    http1::{Framing, Piece, RequestFault, RequestHead, parse_request},
    http2::{AnswerHead, Arrived, Gone, Handle, Head, Refused},
    request::{Asked, needs_map},
    response::ResponseBody,
    watch::{Phase, Watch},
    worker::Worker,
};
use bytes::Bytes;
use h2::Reason;
use http::{Method, Response, Version, header::EXPECT};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::time::{Sleep, sleep_until};

/// A request to be answered on the stream of `handle`.
pub(crate) struct Job {
    pub(super) client: Rc<Client>,
    pub(super) arrived: Arrived,
    pub(super) handle: Rc<Handle>,
    /// Its place among those of the connection.
    pub(super) _open: OpenStream,
}

/// Answers the request of `job`, at a desk of the worker's.
pub(super) async fn answer(job: Job) {
    let worker = Rc::clone(&job.client.worker);
    let mut desk = worker.http2_desks.take(job, || Clerk::new(&worker).serve());
    desk.done().await;
    worker.http2_desks.put(desk);
}

/// What the requests that are answered at a desk, one after the other, share.
struct Clerk {
    watch: Rc<Watch>,
    alarm: RefCell<Pin<Box<Sleep>>>,
}

impl Clerk {
    fn new(worker: &Worker) -> Self {
        let watch = Rc::new(Watch::of(worker));
        let alarm = Box::pin(sleep_until(watch.deadline()));
        Self {
            watch,
            alarm: RefCell::new(alarm),
        }
    }

    /// How a request is answered.
    fn serve(self) -> impl AsyncFn(&Job) {
        async move |job: &Job| {
            let Self { watch, alarm } = &self;
            watch.restart(&job.client.worker);
            watch.enter(Phase::Upload);
            let mut exchange = pin!(exchange(watch, job));
            let done = poll_fn(|context| {
                poll_watched(watch, alarm.borrow_mut().as_mut(), context, |context| {
                    exchange.as_mut().poll(context)
                })
            })
            .await;
            if done.is_none() {
                job.handle.reset(Reason::CANCEL);
            }
        }
    }
}

async fn exchange(watch: &Rc<Watch>, job: &Job) {
    let Job {
        client,
        arrived,
        handle,
        ..
    } = job;
    let length = arrived.head.length;
    let (mut head, mut answer) = (None, None);
    let mut is_head = false;
    match read(client, &arrived.head, &mut head) {
        Err(refusal) => answer = Some(refusal.unrouted(client, None)),
        Ok(head) => {
            is_head = head.parts.method == Method::HEAD;
            let ask = Ask {
                client: Rc::clone(client),
                watch: Rc::clone(watch),
                early: Early::Http2(Rc::clone(handle)),
            };
            let mut body = match arrived.has_body {
                true => {
                    let waits = headers::has_token(&head.parts.headers, &EXPECT, "100-continue");
                    let waiting = waits.then(|| ask.early.clone());
                    RequestBody::http2(handle, length, waiting, watch)
                }
                false => RequestBody::none(watch),
            };
            let mut asked = Asked::new(&mut head.parts, head.lines.take(), &client.peer);
            let mut forwarding = pin!(forward(&ask, &mut asked, &mut body, &mut answer));
            poll_fn(|context| {
                let forwarded = forwarding.as_mut().poll(context);
                if forwarded.is_ready() {
                    return forwarded;
                }
                // A client that gives its request up.
                handle.poll_reset(context)
            })
            .await;
        }
    }
    if let Some(mut response) = answer {
        write(watch, &mut response, handle, is_head).await;
        client.worker.spares.put_map(response.headers_mut());
    }
}

/// Reads the head of a request into `into`.
fn read<'h>(
    client: &Client,
    head: &Head,
    into: &'h mut Option<RequestHead>,
) -> Result<&'h mut RequestHead, Refusal> {
    let text = head.text.as_ref().map_err(|refused| match refused {
        Refused::Request(fault) => Refusal::Malformed(*fault),
        Refused::Stream(fault) => Refusal::BadRequest(*fault),
    })?;
    let worker = &client.worker;
    let is_noted = Account::is_wanted(worker);
    let looks_at = |name: &[u8], value: &[u8]| is_noted || needs_map(name, value, &client.peer);
    let recycled = || worker.spares.take_map();
    let read = parse_request(text.clone(), &worker.head_limits, looks_at, recycled, into);
    let head = read.and_then(|()| into.as_mut().ok_or(RequestFault::RequestLine));
    let head = head.map_err(Refusal::Malformed)?;
    head.parts.version = Version::HTTP_2;
    Ok(head)
}

/// Sends `response` as its body comes.
async fn write(
    watch: &Watch,
    response: &mut Response<ResponseBody>,
    handle: &Handle,
    is_head: bool,
) {
    let framing = response.body().framing();
    let is_empty = framing == Framing::None || is_head;
    let head = AnswerHead {
        status: response.status(),
        headers: response.headers(),
        lines: response.body().lines(),
        length: match framing {
            Framing::Length(length) if !is_head => Some(length),
            _ => None,
        },
    };
    if handle.send_head(&head, is_empty).is_err() {
        return;
    }
    let body = response.body_mut();
    let mut sending = Sending {
        handle,
        watch,
        data: Bytes::new(),
        is_last: false,
        has_ended: is_empty,
    };
    poll_fn(|context| {
        if body.poll_upload(context).is_err() {
            handle.reset(Reason::CANCEL);
            return Poll::Ready(());
        }
        match sending.poll(body, context) {
            Poll::Ready(Ok(()) | Err(Gone)) => Poll::Ready(()),
            Poll::Pending => handle.poll_reset(context),
        }
    })
    .await;
}

/// The body of an answer on its way out.
struct Sending<'a> {
    handle: &'a Handle,
    watch: &'a Watch,
    data: Bytes,
    /// Whether nothing comes after `data`.
    is_last: bool,
    has_ended: bool,
}

impl Sending<'_> {
    /// Sends `body` to its end.
    fn poll(
        &mut self,
        body: &mut ResponseBody,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        loop {
            let sent = self.poll_data(context);
            if sent.is_pending() {
                body.gather(context);
            }
            ready!(sent)?;
            if self.is_last {
                return Poll::Ready(Ok(()));
            }
            match ready!(body.poll_piece(context)) {
                // To a HEAD nobody is sent a body.
                Ok(Piece::Data(_) | Piece::Trailers(_)) if self.has_ended => {}
                Ok(Piece::Data(data)) => {
                    self.data = data;
                    // What is the last piece says so itself: a frame for the end costs both sides as much as one with data.
                    if body.is_at_end() {
                        self.is_last =
                            matches!(body.poll_piece(context), Poll::Ready(Ok(Piece::End)));
                    }
                }
                Ok(Piece::Trailers(trailers)) => {
                    self.handle.send_trailers(&trailers)?;
                    self.has_ended = true;
                }
                Ok(Piece::End) => self.is_last = true,
                Err(cut) => {
                    self.handle.reset(match cut.is_cancelled {
                        true => Reason::CANCEL,
                        false => Reason::INTERNAL_ERROR,
                    });
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Sends the data that waits, and the end if it is the last.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while !self.has_ended && (self.is_last || !self.data.is_empty()) {
            ready!(self.handle.poll_data(&mut self.data, self.is_last, context))?;
            self.has_ended = self.is_last && self.data.is_empty();
            self.watch.moved();
        }
        Poll::Ready(Ok(()))
    }
}
