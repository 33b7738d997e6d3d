//! A request's way: look at the table, find, choose, count, take an endpoint's connection, send, stream back.

use crate::{
    account::Account,
    answer::Refusal,
    body::RequestBody,
    client::Ask,
    filter::{self, Passage},
    grpc, mirror,
    request::{self, Asked, client_address},
    response::ResponseBody,
    way::{Chosen, Prepared, Way},
};
use http::Response;
use std::net::IpAddr;
use traffic::Found;

/// What is known of a request before its route is.
struct Known {
    client: IpAddr,
    is_grpc: bool,
}

/// Answers a request, with a version's answer or with the proxy's own, which it puts into `answer`.
///
/// Heads and bodies are the connection's: what is passed on by value is copied at every step.
pub(crate) async fn forward(
    ask: &Ask,
    asked: &mut Asked<'_>,
    body: &mut RequestBody,
    answer: &mut Option<Response<ResponseBody>>,
) {
    let known = Known {
        client: client_address(&ask.client.peer, &asked.parts.headers),
        is_grpc: grpc::is_grpc(&asked.parts.headers),
    };
    let mut account = Account::begin(&ask.client, known.client, asked.parts);
    let routed = route(ask, &known, asked, body, &mut account, answer).await;
    let response = match routed {
        Ok(response) => response,
        Err(refusal) => answer.insert(refusal.answer(ask, known.is_grpc, &mut account)),
    };
    // RFC 9110 section 7.6.3: the version that it came in, which is the endpoint's.
    let version = response.version();
    request::add_via(response.headers_mut(), &ask.client.peer, version);
    if let Some(mut account) = account {
        account.answered(response.status(), response.headers());
        response.body_mut().keep_account(account);
    }
}

/// Finds the request's route and goes it.
async fn route<'r>(
    ask: &Ask,
    known: &Known,
    asked: &mut Asked<'_>,
    body: &mut RequestBody,
    account: &mut Option<Box<Account>>,
    answer: &'r mut Option<Response<ResponseBody>>,
) -> Result<&'r mut Response<ResponseBody>, Refusal> {
    let Known { client, is_grpc } = known;
    let worker = &ask.client.worker;
    let view = worker.view();
    let listener = &ask.client.gate.name;
    let Some(found) = view.table().find(&asked.seen(client, listener)) else {
        return Err(Refusal::NoRoute);
    };
    if let Some(account) = account {
        account.route(found.name);
    }
    if worker.is_short_of_memory() {
        return Err(Refusal::Shed);
    }
    if filter::looks_at_headers(&found) {
        asked.take_apart(&worker.spares)?;
    }
    let (seen, headers) = (asked.seen(client, listener), &asked.parts.headers);
    let now = worker.turn.elapsed();
    let mut passage = Passage::default();
    filter::arrive(&seen, headers, &found, &ask.client.peer, now, &mut passage)?;
    limit(ask, &found, body)?;
    let chosen = Chosen::of(&view, &found, &seen, || worker.random())?;
    if let Some(account) = account {
        account.version(chosen.backend);
    }
    let way = Way::begin(ask, &view, &chosen, &seen);
    let prepared = Prepared::new(ask, asked, body, &mut passage, *is_grpc);
    if !prepared.asks_to_upgrade() {
        mirror::copy(ask, &view, &found, &chosen, asked.parts, body);
    }
    let answered = way.go(&prepared, asked, body, account, answer).await;
    asked.give_back(&worker.spares);
    let response = answered.map_err(|refusal| refusal.edited(&passage))?;
    passage.edit_response(response.headers_mut());
    chosen.remember(response.headers_mut());
    response.body_mut().keep_permit(passage.take_permit());
    Ok(response)
}

/// Sets the limits of the request's route.
fn limit(ask: &Ask, found: &Found<'_>, body: &mut RequestBody) -> Result<(), Refusal> {
    let worker = &ask.client.worker;
    let actions = found.actions;
    let most = actions.max_body_bytes.or(worker.limits.body_bytes);
    body.set_limit(most).map_err(|_| Refusal::BodyTooLarge)?;
    body.set_pace(worker.limits.body_rate);
    let mut timeouts = worker.timeouts;
    timeouts.response_header = actions
        .timeouts
        .response_header
        .unwrap_or(timeouts.response_header);
    timeouts.idle = actions.timeouts.idle.unwrap_or(timeouts.idle);
    ask.watch.limit(timeouts, actions.timeouts.request);
    Ok(())
}
