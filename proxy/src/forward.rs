//! A request's way: look at the table, find, choose, count, take an endpoint's connection, send, stream back.

use crate::{
    answer::{self, Refusal},
    body::{Passing, RequestBody, ResponseBody},
    client::Client,
    headers,
    lane::Dispatched,
    request,
    send::{NoAnswer, send},
    tunnel,
    upstream::Upstream,
};
use http::{HeaderValue, Request, Response, StatusCode, Version, header::SET_COOKIE};
use http_body::Body;
use hyper::body::Incoming;
use std::{convert::Infallible, net::SocketAddr, rc::Rc};
use traffic::{Head, Outcome, Target};

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
        listener: "",
    };
    let target = view.table().find(&head).ok_or(Refusal::NoRoute)?;
    let (backend, by_weight, new_bucket) = match target.target {
        Target::Backend(backend) => (backend, false, None),
        Target::Split(split) => {
            let split = &view.table().splits()[*split];
            let choice = split.choose(&head, view.worker(), || worker.random());
            let backend = split.backend(choice.side);
            (backend, choice.by_weight, choice.new_bucket)
        }
        Target::Redirect(_) => return Err(Refusal::NoRoute),
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

/// Sends `request` to one of `endpoints` and makes the answer ready to be passed on. Whatever happens, `sent` ends.
async fn exchange(
    client: &Rc<Client>,
    endpoints: &[SocketAddr],
    mut sent: Dispatched,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, NoAnswer> {
    let (mut head, body) = request.into_parts();
    let may_upgrade = head.version == Version::HTTP_11 && body.is_end_stream();
    let upgrade = request::rewrite(&mut head, &client.peer, may_upgrade, || {
        client.worker.random()
    });
    let request = Request::from_parts(head, RequestBody::new(body, client));
    let answer = match send(client, sent.lane(), endpoints, request).await {
        Ok((upstream, response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            tunnel::prepare(client, upstream, response, upgrade.is_some()).await
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
