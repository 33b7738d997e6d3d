//! What a route does to requests and answers, beside sending them somewhere: the Gateway API's filters, and limits.
//!
//! A request goes through [`arrive`] before its version is chosen, through [`Passage::edit_request`] before it is sent,
//! and its answer through [`Passage::edit_response`]. All of them are pure: time and randomness are given. A route that
//! does nothing costs one look at a flag.

mod answer;
mod cors;
mod edits;
pub(crate) mod mirror;
mod path;
mod redirect;

use crate::request::{self, Peer};
use answer::Answer;
use cors::Grant;
use http::{HeaderMap, Response, Uri, header::HOST, request::Parts, uri::PathAndQuery};
use std::time::Duration;
use traffic::{Actions, Found, Head, Permit, Target};

/// An answer of the proxy itself, in place of a version's: head and text. Its `sluice-error` names the reason, where it
/// is a refusal.
pub(crate) type OwnAnswer = Box<Response<&'static str>>;

/// What a request takes along on its way, once its route has let it in.
#[derive(Debug, Default)]
pub(crate) struct Passage<'a> {
    /// What the route does; nothing, when it does nothing.
    actions: Option<&'a Actions>,
    /// What a browser may do with the answer.
    grant: Option<Grant>,
    /// What the endpoint is asked for, when that is not what the client asked for.
    target: Option<PathAndQuery>,
    /// The request's place among those that the route lets be under way. It is to be kept as long as the exchange lasts.
    permit: Option<Permit>,
}

/// Whether the route that was `found` looks into the headers of requests, or changes them.
pub(crate) fn looks_at_headers(found: &Found<'_>) -> bool {
    found.has_actions || matches!(found.target, Target::Redirect(_))
}

/// Lets a request with `headers` in that `found` is the route of, at `now` (from the process's epoch), and puts what it takes along
/// into `passage`, which is empty: or answers it, when it is a browser's question, when the route sends clients elsewhere, or when
/// it takes no more.
///
/// # Errors
/// The answer, complete but for what every answer of the proxy has.
pub(crate) fn arrive<'a>(
    head: &Head<'_>,
    headers: &HeaderMap,
    found: &Found<'a>,
    peer: &Peer,
    now: Duration,
    passage: &mut Passage<'a>,
) -> Result<(), OwnAnswer> {
    if !looks_at_headers(found) {
        return Ok(());
    }
    let actions = found.actions;
    passage.actions = Some(actions);
    if let Some(cors) = &actions.cors {
        // A question costs no version anything, so that it takes no token.
        if let Some(headers) = cors::preflight(cors, head.method, headers) {
            return Err(Answer::Preflight(headers).into_response());
        }
        passage.grant = Some(Grant::of(cors, headers));
    }
    admit(head, headers, found, peer, now, passage).map_err(|answer| {
        let mut response = answer.into_response();
        passage.edit_response(response.headers_mut());
        response
    })
}

/// What [`arrive`] does when the request is no browser's question.
fn admit(
    head: &Head<'_>,
    headers: &HeaderMap,
    found: &Found<'_>,
    peer: &Peer,
    now: Duration,
    passage: &mut Passage<'_>,
) -> Result<(), Answer> {
    let actions = found.actions;
    if let Some(limit) = &actions.rate_limit {
        found
            .state
            .admit(limit, *head.client, headers, now)
            .map_err(Answer::RateLimited)?;
    }
    if let Target::Redirect(redirect) = found.target {
        let scheme = request::scheme(peer, headers);
        // Behind a proxy that speaks another scheme with the client, this listener's port says nothing to the client.
        let port = if scheme == peer.scheme() {
            peer.port()
        } else {
            scheme.port()
        };
        let location = redirect::location(redirect, head, (scheme, port), found.matched_prefix)?;
        return Err(Answer::Redirect(redirect.status, location));
    }
    if let Some(path) = actions.rewrite.as_ref().and_then(|r| r.path.as_ref()) {
        let target = path::rewritten(head.uri, path, found.matched_prefix);
        passage.target = Some(target.ok_or(Answer::TargetTooLong)?);
    }
    if let Some(max) = actions.max_concurrent {
        passage.permit = Some(found.state.permit(max).ok_or(Answer::Busy)?);
    }
    Ok(())
}

impl Passage<'_> {
    /// Gives `head`, which [`request::rewrite`] has made ready for an endpoint, what the route says.
    pub(crate) fn edit_request(&mut self, head: &mut Parts) {
        let Some(actions) = self.actions else { return };
        if let Some(target) = self.target.take() {
            head.uri = Uri::from(target);
        }
        if let Some(host) = actions.rewrite.as_ref().and_then(|r| r.hostname.as_ref()) {
            let _ = head.headers.try_insert(HOST, host.clone());
        }
        edits::apply(&actions.request_headers, &mut head.headers);
    }

    /// Whether the route does something about requests or answers.
    pub(crate) fn does_something(&self) -> bool {
        self.actions.is_some()
    }

    /// Gives the `headers` of an answer, a version's or the proxy's own, what the route says.
    pub(crate) fn edit_response(&self, headers: &mut HeaderMap) {
        let Some(actions) = self.actions else { return };
        if let Some(grant) = &self.grant {
            grant.give(headers);
        }
        edits::apply(&actions.response_headers, headers);
    }

    /// The request's place among those that the route lets be under way, if it limits them. Dropping it gives it back.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }
}

#[cfg(test)]
mod tests;
