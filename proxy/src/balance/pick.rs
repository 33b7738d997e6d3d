//! One attempt at an endpoint.

use super::{
    Service,
    service::{Endpoint, Members},
};
use std::{net::SocketAddr, rc::Rc, time::Duration};
use traffic::{
    policy::Ejection,
    state::backend::{Ejected, Ejecting},
};

/// What became of an attempt, as far as the endpoint is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It answered as it should. A refusal that is the client's doing (4xx) is that, too.
    Success,
    /// It failed, by its status, by hanging or by breaking off.
    Failure,
    /// There was no connection.
    ConnectFailure,
    /// The client went away or broke the rules, which says nothing about the endpoint.
    Cancelled,
}

/// An endpoint that was chosen for an attempt, which is under way until this is dropped. Dropping it without
/// [`Pick::end`] is a cancellation.
#[derive(Debug)]
pub(crate) struct Pick {
    service: Rc<Service>,
    endpoint: Rc<Endpoint>,
    marks: Marks,
}

/// What is noted of an attempt. It is as wide as a register: what is handed on by value is copied in pieces as wide as its
/// narrowest field, and pieces that overlap have the processor wait until what was written just before has left it.
#[derive(Clone, Copy, Debug)]
struct Marks(usize);

impl Marks {
    const NONE: Self = Self(0);
    /// It tries an endpoint after an ejection.
    const TRIAL: Self = Self(1);
    /// Others must not try the endpoint meanwhile.
    const ALONE: Self = Self(2);
    /// The latency was taken in.
    const TIMED: Self = Self(4);

    fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    /// Whether there was `mark`, which is gone after that.
    fn take(&mut self, mark: Self) -> bool {
        let had = self.has(mark);
        self.0 &= !mark.0;
        had
    }
}

impl Pick {
    /// An attempt that begins; for a trial [`begin_trial`](traffic::state::backend::EndpointState::begin_trial) must
    /// have said yes.
    pub(super) fn new(service: &Rc<Service>, endpoint: &Rc<Endpoint>, is_trial: bool) -> Self {
        endpoint.in_flight.set(endpoint.in_flight.get() + 1);
        service.in_flight.set(service.in_flight.get() + 1);
        let mut marks = Marks::NONE;
        if is_trial {
            marks.set(Marks::TRIAL);
            marks.set(Marks::ALONE);
        }
        Self {
            service: Rc::clone(service),
            endpoint: Rc::clone(endpoint),
            marks,
        }
    }

    /// The endpoint.
    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.state.address()
    }

    /// Notes at `now` that the head of the answer came, `latency` after the attempt began. A long answer must not look
    /// like a slow endpoint, nor keep others from trying it.
    pub(crate) fn answered(&mut self, latency: Duration, now: Duration) {
        self.marks.set(Marks::TIMED);
        self.endpoint.latency.observe(latency, now);
        self.service.observe(latency);
        self.let_others_try();
    }

    /// Notes at `now` that the attempt has succeeded, though it goes on.
    pub(crate) fn succeeded(&self, now: Duration) {
        self.judge(false, now);
    }

    /// Notes at `now` how the attempt ended, `latency` after it began. The latency counts unless
    /// [`Pick::answered`] told one.
    pub(crate) fn end(mut self, seen: Seen, latency: Duration, now: Duration) {
        match seen {
            Seen::Success => {
                self.judge(false, now);
                if !self.marks.has(Marks::TIMED) {
                    self.answered(latency, now);
                }
            }
            Seen::Failure | Seen::ConnectFailure => {
                let mean = self.service.mean();
                let waited = if self.marks.has(Marks::TIMED) {
                    Duration::ZERO
                } else {
                    latency
                };
                self.endpoint.latency.observe_failure(waited, mean, now);
                self.judge(true, now);
            }
            // Who gave up after a long time tells at least that it was long.
            Seen::Cancelled => {
                let mean = self.endpoint.latency.mean(self.service.mean(), now);
                if !self.marks.has(Marks::TIMED) && latency.as_secs_f64() > mean {
                    self.endpoint.latency.observe(latency, now);
                }
            }
        }
    }

    fn judge(&self, is_failure: bool, now: Duration) {
        let members = self.service.members();
        let Some(policy) = &members.policy().ejection else {
            return;
        };
        if policy.excess_failure_ratio.is_some() {
            self.endpoint.outcomes.count(is_failure, now);
        }
        let ejecting = self.ejecting(&members, policy);
        let endpoint = &self.endpoint.state;
        if is_failure {
            self.tell(ejecting.failed(endpoint, self.marks.has(Marks::TRIAL), now));
            self.tell(ejecting.compare(&self.service.shard, now));
        } else if ejecting.succeeded(endpoint, self.marks.has(Marks::TRIAL), now) {
            let service = self.service.id();
            tracing::info!(%service, endpoint = %self.address(), "an endpoint works again");
        }
    }

    fn ejecting<'a>(&'a self, members: &'a Members, policy: &'a Ejection) -> Ejecting<'a> {
        Ejecting {
            state: &self.service.state,
            policy,
            endpoints: &members.states,
        }
    }

    fn tell(&self, ejected: impl IntoIterator<Item = Ejected>) {
        for ejected in ejected {
            tracing::warn!(
                service = %self.service.id(),
                endpoint = %ejected.endpoint.address(),
                reason = ejected.reason.as_str(),
                seconds = ejected.time.as_secs_f64(),
                "an endpoint is ejected"
            );
        }
    }

    fn let_others_try(&mut self) {
        if self.marks.take(Marks::ALONE) {
            self.endpoint.state.end_trial();
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let (endpoint, service) = (&self.endpoint, &self.service);
        endpoint.in_flight.set(endpoint.in_flight.get() - 1);
        service.in_flight.set(service.in_flight.get() - 1);
        self.let_others_try();
    }
}
