//! A request's way: look at the table, find, choose, count, take an endpoint's connection, send, stream back.

use crate::{
    answer::{self, Refusal},
    body::RequestBody,
    client::Ask,
    grpc, headers,
    lane::Dispatched,
    request,
    response::{Begun, Passing, ResponseBody},
    send::{Answered, NoAnswer, send},
    tunnel,
    watch::Phase,
};
use http::{HeaderValue, Response, StatusCode, Version, header::SET_COOKIE, request::Parts};
use traffic::{Backend, Head, Outcome, Target};

/// Answers a request, with a version's answer or with the proxy's own.
pub(crate) async fn forward(ask: &Ask, head: Parts, body: RequestBody) -> Response<ResponseBody> {
    match route(ask, head, body).await {
        Ok(response) => response,
        Err(refusal) => refuse(ask, refusal),
    }
}

/// The proxy's own answer.
fn refuse(ask: &Ask, refusal: Refusal) -> Response<ResponseBody> {
    let counters = ask.client.worker.counters();
    match &refusal {
        Refusal::NoRoute => counters.no_route.count(),
        Refusal::BadRequest(_) | Refusal::Malformed(_) | Refusal::BadBody => {
            counters.bad_requests.count();
        }
        Refusal::BodyTooLarge | Refusal::Stalled | Refusal::Failed(..) => {}
    }
    ask.watch.enter(Phase::Transfer);
    refusal.into_response()
}

async fn route(
    ask: &Ask,
    head: Parts,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Refusal> {
    let worker = &ask.client.worker;
    let view = worker.view();
    let seen = Head {
        method: &head.method,
        uri: &head.uri,
        headers: &head.headers,
        client: ask.client.address,
        listener: &ask.client.gate.name,
    };
    let found = view.table().find(&seen).ok_or(Refusal::NoRoute)?;
    let (backend, by_weight, new_bucket) = match found.target {
        Target::Backend(backend) => (backend, false, None),
        Target::Split(split) => {
            let split = &view.table().splits()[*split];
            let choice = split.choose(&seen, view.worker(), || worker.random());
            let backend = split.backend(choice.side);
            (backend, choice.by_weight, choice.new_bucket)
        }
        Target::Redirect(_) => return Err(Refusal::NoRoute),
    };
    let lane = worker.lanes.of(&backend.series);
    let sent = Dispatched::begin(lane, worker.clock, by_weight);
    let mut response = match exchange(ask, backend, sent, head, body).await {
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

/// Sends a request to `backend` and makes the answer ready to be passed on. Whatever happens, `sent` ends.
async fn exchange(
    ask: &Ask,
    backend: &Backend,
    mut sent: Dispatched,
    mut head: Parts,
    mut body: RequestBody,
) -> Result<Response<ResponseBody>, NoAnswer> {
    let may_upgrade = head.version == Version::HTTP_11 && body.has_ended();
    let is_grpc = grpc::is_grpc(&head.headers);
    let upgrade = request::rewrite(&mut head, &ask.client.peer, may_upgrade);
    let answered = send(ask, backend, &head, &mut body, &mut sent).await;
    ask.client.worker.spares.put_map(head.headers);
    let answer = match answered {
        Ok(answered) if answered.answer.parts.status == StatusCode::SWITCHING_PROTOCOLS => {
            tunnel::prepare(ask, answered, upgrade.as_ref())
        }
        Ok(answered) => return Ok(pass(ask, answered, body, sent, is_grpc)),
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

/// Passes an answer on.
fn pass(
    ask: &Ask,
    answered: Answered,
    request: RequestBody,
    sent: Dispatched,
    is_grpc: bool,
) -> Response<ResponseBody> {
    let Answered { exchange, answer } = answered;
    let mut head = answer.parts;
    headers::remove_hop_by_hop(&mut head.headers);
    let begun = Begun {
        exchange,
        framing: answer.framing,
        request,
        sent,
        status: head.status.as_u16(),
        grpc: is_grpc.then(|| grpc::Verdict::of(&head.headers)),
    };
    let passing = Passing::new(begun, &ask.watch, &ask.client.worker);
    Response::from_parts(head, ResponseBody::passing(passing))
}
