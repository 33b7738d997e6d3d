//! The way of a request to its version, and of the answer back.

use crate::{
    account::Account,
    answer::{self, Refusal},
    balance::Service,
    body::RequestBody,
    client::Ask,
    drains,
    filter::Passage,
    grpc, headers,
    lane::Dispatched,
    request::Asked,
    response::{Begun, Passing, ResponseBody},
    send::{Answered, Delivery, NoAnswer, Tries, judged},
    tunnel,
    upstream::Answer,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header::SET_COOKIE};
use std::rc::Rc;
use traffic::{
    Backend, Choice, Failure, Found, Head, Outcome, Split, Target, View,
    action::{Mirror, is_idempotent},
    policy::Protocol,
    split::Side,
    state::backend::Limit,
};

/// The version that a request goes to.
pub(crate) struct Chosen<'a> {
    pub(crate) backend: &'a Backend,
    split: Option<&'a Split>,
    choice: Option<Choice<'a>>,
    /// Who else gets a copy of the request, by a rule of the split.
    copy: Option<&'a Mirror>,
}

impl<'a> Chosen<'a> {
    /// The version that the route which was `found` leads `head` to.
    pub(crate) fn of(
        view: &'a View,
        found: &Found<'a>,
        head: &Head<'_>,
        random: impl FnOnce() -> u64,
    ) -> Result<Self, Refusal> {
        match found.target {
            Target::Backend(backend) => Ok(Self {
                backend,
                split: None,
                choice: None,
                copy: None,
            }),
            Target::Split(split) => {
                let split = &view.table().splits()[*split];
                let choice = split.choose(head, view.worker(), random);
                let may_be_copied = found.has_actions && choice.side == Side::Stable;
                Ok(Self {
                    backend: split.backend(choice.side),
                    split: Some(split),
                    copy: may_be_copied.then(|| split.copy_of(head)).flatten(),
                    choice: Some(choice),
                })
            }
            // A route that redirects has answered.
            Target::Redirect(_) => Err(Refusal::NoRoute),
        }
    }

    /// Everybody who may get a copy of the request, by what the route and the split say.
    pub(crate) fn mirrors(&self, found: &Found<'a>) -> impl Iterator<Item = &'a Mirror> {
        found.actions.mirrors.iter().chain(self.copy)
    }

    /// Sets the cookie by which the user is known again, where one is needed.
    pub(crate) fn remember(&self, headers: &mut HeaderMap) {
        if let Some(bucket) = self
            .choice
            .as_ref()
            .and_then(|choice| choice.new_bucket.as_ref())
            && let Ok(cookie) = HeaderValue::try_from(bucket.set_cookie())
        {
            let _ = headers.try_append(SET_COOKIE, cookie);
        }
    }
}

/// What is known of a request whose head is ready for an endpoint.
pub(crate) struct Prepared {
    upgrade: Option<headers::Upgrade>,
    is_grpc: bool,
    /// Whether somebody looks at the answer's headers on their way to the client, or turns them into another form.
    looks_at_answer: bool,
}

impl Prepared {
    /// Makes what was `asked` ready for an endpoint of the version that was `chosen`.
    pub(crate) fn new(
        ask: &Ask,
        asked: &mut Asked<'_>,
        body: &RequestBody,
        passage: &mut Passage<'_>,
        is_grpc: bool,
    ) -> Self {
        let client = &ask.client;
        let version = asked.parts.version;
        let may_upgrade = version == Version::HTTP_11 && body.has_ended();
        let looks_at_answer = is_grpc || passage.does_something();
        let upgrade = asked.rewrite(may_upgrade, || client.worker.random());
        passage.edit_request(asked.parts);
        Self {
            upgrade,
            is_grpc,
            looks_at_answer,
        }
    }

    /// Whether the client asks to speak another protocol than HTTP from then on.
    pub(crate) fn asks_to_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }
}

/// A version that is to answer.
struct Destination<'a> {
    backend: &'a Backend,
    service: &'a Rc<Service>,
    /// Whether the headers of its answer are looked at on their way to the client.
    is_looked_at: bool,
}

/// The way to a version, and back.
pub(crate) struct Way<'a> {
    ask: &'a Ask,
    view: &'a View,
    chosen: &'a Chosen<'a>,
    /// The Service of the version that was chosen.
    service: Rc<Service>,
    /// What ties the request to an endpoint, where the Service is balanced by consistent hash.
    key: Option<u64>,
}

impl<'a> Way<'a> {
    /// The way of the request of `head`.
    pub(crate) fn begin(
        ask: &'a Ask,
        view: &'a View,
        chosen: &'a Chosen<'a>,
        head: &Head<'_>,
    ) -> Self {
        let worker = &ask.client.worker;
        let now = worker.turn.elapsed();
        let service = worker
            .balancer
            .service(chosen.backend, view.generation(), now);
        Self {
            ask,
            view,
            chosen,
            key: service.key(head),
            service,
        }
    }

    /// Sends the request to its version, to stable once more where the rollout asks for that, and puts the answer, ready to be
    /// passed on, into `answer`. The request is counted as it leaves, and its outcome exactly once.
    pub(crate) async fn go<'r>(
        &self,
        prepared: &Prepared,
        asked: &mut Asked<'_>,
        body: &mut RequestBody,
        account: &mut Option<Box<Account>>,
        answer: &'r mut Option<Response<ResponseBody>>,
    ) -> Result<&'r mut Response<ResponseBody>, Refusal> {
        let worker = &self.ask.client.worker;
        let mut backend = self.chosen.backend;
        let choice = self.chosen.choice.as_ref();
        let by_weight = choice.is_some_and(|choice| choice.by_weight);
        let lane = worker.lanes.of(&backend.series);
        let is_looked_at = prepared.looks_at_answer || account.is_some();
        let mut sent =
            Dispatched::begin(lane, by_weight).with_stake(choice.and_then(|choice| choice.stake));
        let chosen = Destination {
            backend,
            service: &self.service,
            is_looked_at,
        };
        let mut answered = None;
        let mut status = self
            .deliver(chosen, asked, body, &mut sent, account, &mut answered)
            .await;
        if let Some(stable) = self.rescuer(&status, &asked.parts.method)
            && body.rewind()
        {
            sent.end(outcome(&status));
            worker.counters().rescued.count();
            if let (Ok(status), Some(answered)) = (status, answered.take()) {
                answered.attempt.end(judged(status), worker.turn.elapsed());
            }
            backend = stable;
            let service = self.service_of(stable);
            let rescuer = Destination {
                backend: stable,
                service: &service,
                is_looked_at,
            };
            status = self
                .deliver(rescuer, asked, body, &mut sent, account, &mut answered)
                .await;
        }
        let no_answer = match (status, answered) {
            (Ok(StatusCode::SWITCHING_PROTOCOLS), Some(answered)) => {
                match self.tunnel(prepared, backend, answered, &mut sent) {
                    Ok(response) => return Ok(answer.insert(response)),
                    Err(no_answer) => no_answer,
                }
            }
            (Ok(_), Some(answered)) => {
                return Ok(self.pass(prepared, backend, answered, body, sent, answer));
            }
            (Ok(_), None) => NoAnswer::Version(Failure::Protocol),
            (Err(no_answer), _) => no_answer,
        };
        let (outcome, refusal) = match no_answer {
            NoAnswer::Version(failure) => {
                (answer::failed(failure), Refusal::failed(failure, backend))
            }
            NoAnswer::Client(refusal) => (Outcome::Cancelled, refusal),
        };
        sent.end(outcome);
        Err(refusal)
    }

    /// The Service of `backend`.
    fn service_of(&self, backend: &Backend) -> Rc<Service> {
        let worker = &self.ask.client.worker;
        let now = worker.turn.elapsed();
        let generation = self.view.generation();
        worker.balancer.service(backend, generation, now)
    }

    /// Has the version `to` answer, and gives the status; the answer itself is put into `answered`.
    #[expect(
        clippy::too_many_arguments,
        reason = "the last is where what is large to be moved is put"
    )]
    async fn deliver(
        &self,
        to: Destination<'_>,
        asked: &mut Asked<'_>,
        body: &mut RequestBody,
        sent: &mut Dispatched,
        account: &mut Option<Box<Account>>,
        answered: &mut Option<Answered>,
    ) -> Result<StatusCode, NoAnswer> {
        if to.backend.policy.protocol == Protocol::Http2 {
            let taken_apart = asked.take_apart(&self.ask.client.worker.spares);
            taken_apart.map_err(|fault| NoAnswer::Client(fault.into()))?;
        }
        let permit = to
            .service
            .admit(Limit::Requests)
            .map_err(|_| NoAnswer::Version(Failure::Overload))?;
        if let Some(account) = account {
            account.rewritten(&asked.parts.headers);
        }
        let mut delivery = Delivery {
            ask: self.ask,
            backend: to.backend,
            service: to.service,
            key: self.key,
            asked,
            body,
            is_looked_at: to.is_looked_at,
            tries: Tries::default(),
            sent,
            permit: Some(permit),
            answered,
            account: account.as_deref_mut(),
        };
        delivery.send().await
    }

    /// The stable version, when it is to answer what the canary failed.
    fn rescuer(&self, status: &Result<StatusCode, NoAnswer>, method: &Method) -> Option<&Backend> {
        let split = self.chosen.split.filter(|split| split.rescue)?;
        let is_canary = self.chosen.choice.as_ref()?.side == Side::Canary;
        let has_failed = match status {
            Ok(status) => status.is_server_error(),
            Err(NoAnswer::Version(_)) => true,
            Err(NoAnswer::Client(_)) => false,
        };
        (is_canary && has_failed && is_idempotent(method)).then_some(&split.stable)
    }

    /// Makes the tunnel ready that the answer of `backend` begins.
    fn tunnel(
        &self,
        prepared: &Prepared,
        backend: &Backend,
        answered: Answered,
        sent: &mut Dispatched,
    ) -> Result<Response<ResponseBody>, NoAnswer> {
        let mut response = tunnel::prepare(self.ask, answered, prepared.upgrade.as_ref())?;
        // What it lasts is nothing that a version's latency could be measured by.
        sent.end(Outcome::Answered(StatusCode::SWITCHING_PROTOCOLS.as_u16()));
        response.body_mut().drain(drains::enter(self.ask, backend));
        Ok(response)
    }

    /// Passes the answer of `backend` on.
    #[expect(
        clippy::too_many_arguments,
        reason = "the last is where what is large to be moved is put"
    )]
    fn pass<'r>(
        &self,
        prepared: &Prepared,
        backend: &Backend,
        mut answered: Answered,
        request: &mut RequestBody,
        sent: Dispatched,
        answer: &'r mut Option<Response<ResponseBody>>,
    ) -> &'r mut Response<ResponseBody> {
        let Answer {
            parts: mut head,
            lines,
            framing,
        } = answered.exchange.take_answer();
        if lines.is_none() {
            headers::remove_hop_by_hop(&mut head.headers);
        }
        let begun = Begun {
            answered,
            framing,
            lines,
            request: request.take(),
            sent,
            status: head.status.as_u16(),
            grpc: prepared.is_grpc.then(|| grpc::Verdict::of(&head.headers)),
            drain: drains::enter(self.ask, backend),
        };
        let passing = Passing::begin(begun, &self.ask.watch, &self.ask.client.worker);
        answer.insert(Response::from_parts(head, ResponseBody::passing(passing)))
    }
}

/// How an attempt that is given up, or ended without a body, is counted.
fn outcome(status: &Result<StatusCode, NoAnswer>) -> Outcome {
    match status {
        Ok(status) => Outcome::Answered(status.as_u16()),
        Err(NoAnswer::Version(failure)) => answer::failed(*failure),
        Err(NoAnswer::Client(_)) => Outcome::Cancelled,
    }
}
