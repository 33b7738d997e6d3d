//! A request's way: look at the table, find, choose, count, take an endpoint's connection, send, stream back.

use crate::{
    answer::{self, Refusal},
    body::{Passing, RequestBody, ResponseBody},
    client::Client,
    headers::{self, Upgrade},
    lane::{Dispatched, Lane},
    request,
    tunnel::Tunnel,
    upstream::{SendError, Upstream},
    watch::Phase,
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header::SET_COOKIE};
use http_body::Body;
use hyper::body::Incoming;
use std::{convert::Infallible, net::SocketAddr, rc::Rc};
use traffic::{Failure, Head, Outcome, Target};

/// How many endpoints of its version a request is tried on when connections cannot be made. The version has failed
/// when all of them did; that a later one took it is not counted against the version.
const ENDPOINTS_TRIED: usize = 3;

/// Answers `request`, with a version's answer or with the proxy's own.
pub(crate) async fn forward(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    client.upload.arrived(!request.body().is_end_stream());
    Ok(match route(&client, request).await {
        Ok(response) => response,
        Err(refusal) => client.refuse(refusal),
    })
}

async fn route(
    client: &Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Refusal> {
    request::check(&request).map_err(Refusal::BadRequest)?;
    let worker = &client.worker;
    let view = worker.view();
    let head = Head {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        client: client.address,
    };
    let target = view.table().find(&head).ok_or(Refusal::NoRoute)?;
    let (backend, by_weight, new_bucket) = match target {
        Target::Backend(backend) => (backend, false, None),
        Target::Split(split) => {
            let split = &view.table().splits()[*split];
            let choice = split.choose(&head, view.worker(), || worker.random());
            let backend = split.backend(choice.side);
            (backend, choice.by_weight, choice.new_bucket)
        }
    };
    let lane = worker.lanes.of(&backend.series);
    let sent = Dispatched::begin(lane, worker.clock, by_weight);
    let mut response = match exchange(client, &backend.endpoints, sent, request).await {
        Ok(response) => response,
        Err(NoAnswer::Version(failure)) => return Err(Refusal::failed(failure, backend)),
        Err(NoAnswer::Client(refusal)) => return Err(refusal),
    };
    if let Some(bucket) = new_bucket
        && let Ok(cookie) = HeaderValue::try_from(bucket.set_cookie())
    {
        let _ = response.headers_mut().try_append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Why a request that was sent has no answer to pass on.
enum NoAnswer {
    /// The version failed.
    Version(Failure),
    /// The client did not send its request to the end.
    Client(Refusal),
}

/// Sends `request` to one of `endpoints` and makes the answer ready to be passed on. Whatever happens, `sent` ends.
async fn exchange(
    client: &Rc<Client>,
    endpoints: &[SocketAddr],
    mut sent: Dispatched,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, NoAnswer> {
    let (mut head, body) = request.into_parts();
    let may_upgrade = head.version == Version::HTTP_11 && body.is_end_stream();
    let upgrade = request::rewrite(&mut head, &client.peer, may_upgrade);
    let request = Request::from_parts(head, RequestBody::new(body, client));
    let answer = match answer(client, sent.lane(), endpoints, request).await {
        Ok((upstream, response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            switch(client, upstream, response, upgrade.as_ref()).await
        }
        Ok((upstream, response)) => return Ok(pass(client, upstream, response, sent)),
        Err(no_answer) => Err(no_answer),
    };
    sent.end(match &answer {
        // The tunnel that begins now is nothing that a version's latency could be measured by.
        Ok(response) => Outcome::Answered(response.status().as_u16()),
        Err(NoAnswer::Version(failure)) => Outcome::Failed {
            status: answer::status(*failure).as_u16(),
            reason: *failure,
        },
        Err(NoAnswer::Client(_)) => Outcome::Cancelled,
    });
    answer
}

/// The response head, and the connection that its body will come on. A connection from the pool may have been closed
/// just now; a request that was not written to it is sent again on a fresh one.
async fn answer(
    client: &Client,
    lane: &Lane,
    endpoints: &[SocketAddr],
    request: Request<RequestBody>,
) -> Result<(Box<Upstream>, Response<Incoming>), NoAnswer> {
    let mut upstream = connection(client, lane, endpoints, true).await?;
    let mut response = upstream.send(request, client).await;
    if let Err(SendError::Unsent(request)) = response {
        upstream = connection(client, lane, endpoints, false).await?;
        response = upstream.send(*request, client).await;
    }
    match response {
        Ok(response) => Ok((upstream, response)),
        Err(SendError::Failed(failure)) => Err(NoAnswer::Version(failure)),
        Err(SendError::Unsent(_)) => Err(NoAnswer::Version(Failure::Reset)),
        Err(SendError::Body) => Err(NoAnswer::Client(Refusal::BadRequest(request::Fault::Body))),
        Err(SendError::Stalled) => Err(NoAnswer::Client(Refusal::Stalled)),
    }
}

/// A connection to the endpoint whose turn it is, or to one of the next when it cannot be reached.
async fn connection(
    client: &Client,
    lane: &Lane,
    endpoints: &[SocketAddr],
    may_reuse: bool,
) -> Result<Box<Upstream>, NoAnswer> {
    let worker = &client.worker;
    let mut failure = Failure::NoEndpoint;
    for address in lane.turn(endpoints).take(ENDPOINTS_TRIED) {
        let pooled = may_reuse.then(|| worker.pool.take(address)).flatten();
        let connected = match pooled {
            Some(upstream) => Ok(upstream),
            None => {
                client.watch.enter(Phase::Connect);
                Upstream::connect(address, worker.timeouts.connect, &worker.http_client).await
            }
        };
        match connected {
            Ok(upstream) => {
                let is_uploading = client.upload.is_open();
                client.watch.enter(if is_uploading {
                    Phase::Upload
                } else {
                    Phase::Answer
                });
                return Ok(upstream);
            }
            Err(reason) => failure = reason,
        }
    }
    Err(NoAnswer::Version(failure))
}

/// Passes `response` on, whose body comes from `upstream`.
fn pass(
    client: &Rc<Client>,
    upstream: Box<Upstream>,
    response: Response<Incoming>,
    sent: Dispatched,
) -> Response<ResponseBody> {
    let (mut head, incoming) = response.into_parts();
    headers::remove_hop_by_hop(&mut head.headers);
    // Which version the client speaks is the business of its own connection.
    head.version = Version::HTTP_11;
    let status = head.status.as_u16();
    let passing = Passing::new(incoming, upstream, client, sent, status);
    Response::from_parts(head, ResponseBody::passing(passing))
}

/// Makes the tunnel ready that begins when the client has got this answer.
async fn switch(
    client: &Client,
    upstream: Box<Upstream>,
    response: Response<Incoming>,
    asked: Option<&Upgrade>,
) -> Result<Response<ResponseBody>, NoAnswer> {
    // An endpoint may change the protocol only when it was asked to (RFC 9110 section 15.2.2).
    let agreed = headers::upgrade(response.headers()).filter(|_| asked.is_some());
    let protocol = agreed.ok_or(NoAnswer::Version(Failure::Protocol))?;
    let io = upstream.into_io().await;
    let (stream, read) = io.ok_or(NoAnswer::Version(Failure::Reset))?;
    client.tunnel.set(Some(Tunnel { stream, read }));
    client.watch.enter(Phase::Transfer);
    let (mut head, _) = response.into_parts();
    headers::remove_hop_by_hop(&mut head.headers);
    protocol.set(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    Ok(Response::from_parts(head, ResponseBody::empty()))
}
