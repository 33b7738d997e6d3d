//! The one deadline of a client's connection.
//!
//! A connection is always in one phase, and each phase has a limit. The connection's task keeps a single timer and
//! looks at the deadline when it rings; entering a phase or making progress only writes two cells. So a request on a
//! busy connection costs no timer operation, however many timeouts apply to it.

use crate::{Timeouts, turn::Turn, worker::Worker};
use std::{cell::Cell, pin::Pin, rc::Rc, task::Context, time::Duration};
use tokio::time::{Instant, Sleep};

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first request of a connection, of which nothing has come. It has the time of a head.
    Fresh,
    /// The rest of a request's head. Progress does not extend it, or an endless dribble would go on for ever.
    Head,
    /// A connection to an endpoint, which has a timeout of its own.
    Connect,
    /// The rest of a request's body, or room for it at the endpoint.
    Upload,
    /// The head of the response.
    Answer,
    /// The rest of the response's body, or room for it at the client.
    Transfer,
    /// The next request.
    Idle,
}

/// The phase, since when, and how long it may last.
#[derive(Debug)]
pub(crate) struct Watch {
    turn: Rc<Turn>,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// The timer rang for the phase as it is.
    is_over: Cell<bool>,
    /// The timer is set and will wake the task.
    is_set: Cell<bool>,
    limits: Cell<Timeouts>,
    /// When the request must have ended, whatever its phase is.
    until: Cell<Option<Instant>>,
    /// How long the answer to the present attempt is waited for, if less than otherwise.
    attempt: Cell<Option<Duration>>,
    /// Until when a request is waited for, if that is limited otherwise.
    idle_until: Cell<Option<Instant>>,
    /// When the client's body must have come further.
    pace: Cell<Option<Instant>>,
}

impl Watch {
    /// A connection of `worker` that begins now, and that nothing has come on.
    pub(crate) fn of(worker: &Worker) -> Self {
        Self::new(worker.timeouts, Rc::clone(&worker.turn))
    }

    fn new(limits: Timeouts, turn: Rc<Turn>) -> Self {
        turn.begin();
        Self {
            phase: Cell::new(Phase::Fresh),
            since: Cell::new(turn.now()),
            turn,
            is_over: Cell::new(false),
            is_set: Cell::new(false),
            limits: Cell::new(limits),
            until: Cell::new(None),
            attempt: Cell::new(None),
            idle_until: Cell::new(None),
            pace: Cell::new(None),
        }
    }

    /// Begins anew, but for the phase, for the next of those that take turns to use it. The timer, which may be set, would wake the
    /// one before.
    pub(crate) fn restart(&self, worker: &Worker) {
        self.begin_turn();
        self.limit(worker.timeouts, None);
        self.idle_until.set(None);
        self.is_set.set(false);
    }

    /// The connection's task, or its request's, begins to run.
    pub(crate) fn begin_turn(&self) {
        self.turn.begin();
    }

    /// `limits` are for the present request, which may take `whole` altogether.
    pub(crate) fn limit(&self, limits: Timeouts, whole: Option<Duration>) {
        self.limits.set(limits);
        self.attempt.set(None);
        self.pace.set(None);
        self.until.set(whole.map(|whole| self.turn.now() + whole));
    }

    /// The answer to the present attempt is waited for no longer than `attempt`.
    pub(crate) fn limit_attempt(&self, attempt: Option<Duration>) {
        self.attempt.set(attempt);
    }

    /// No request is waited for after `until`.
    pub(crate) fn idle_until(&self, until: Instant) {
        self.idle_until.set(Some(until));
    }

    /// Whether the request has lasted as long as it may altogether.
    pub(crate) fn must_end(&self) -> bool {
        self.until
            .get()
            .is_some_and(|until| until <= self.turn.now())
    }

    /// The limits of the present request.
    pub(crate) fn limits(&self) -> Timeouts {
        self.limits.get()
    }

    /// While the client's body is waited for, more of it must come before `pace`.
    pub(crate) fn set_pace(&self, pace: Option<Instant>) {
        self.pace.set(pace);
    }

    /// When the request must have ended, if that is set.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until.get()
    }

    /// Ends the request at `deadline`, unless it ends before.
    pub(crate) fn end_by(&self, deadline: Instant) {
        let until = self
            .until
            .get()
            .map_or(deadline, |until| until.min(deadline));
        self.until.set(Some(until));
    }

    /// The phase as it is.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Begins `phase` now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.turn.now());
        self.is_over.set(false);
    }

    /// Bytes came from the client.
    pub(crate) fn received(&self) {
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Fresh => self.phase.set(Phase::Head),
            _ => {}
        }
    }

    /// A part of a body moved, or the client took bytes.
    pub(crate) fn moved(&self) {
        match self.phase.get() {
            Phase::Upload | Phase::Transfer | Phase::Idle => {
                self.since.set(self.turn.now());
                self.is_over.set(false);
            }
            Phase::Fresh | Phase::Head | Phase::Connect | Phase::Answer => {}
        }
    }

    /// When the phase has lasted too long.
    pub(crate) fn deadline(&self) -> Instant {
        /// For the phase that this watch does not limit.
        const FAR: Duration = Duration::from_secs(3600);
        let limits = self.limits.get();
        let (limit, is_request) = match self.phase.get() {
            Phase::Fresh | Phase::Head => (limits.request_header, false),
            Phase::Connect => (FAR, true),
            Phase::Upload | Phase::Transfer => (limits.idle, true),
            Phase::Answer => {
                let attempt = self.attempt.get().unwrap_or(limits.response_header);
                (limits.response_header.min(attempt), true)
            }
            Phase::Idle => (limits.keep_alive, false),
        };
        let deadline = self.since.get() + limit;
        if matches!(self.phase.get(), Phase::Fresh | Phase::Idle) {
            let idle_until = self.idle_until.get();
            return idle_until.map_or(deadline, |until| until.min(deadline));
        }
        if !is_request {
            return deadline;
        }
        let pace = self
            .pace
            .get()
            .filter(|_| self.phase.get() == Phase::Upload);
        let sooner = [self.until.get(), pace].into_iter().flatten().min();
        sooner.map_or(deadline, |sooner| sooner.min(deadline))
    }

    /// Whether the phase has lasted too long, as the timer found it. It stays so until another phase is entered.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Looks at the timer, before the connection is driven.
    pub(crate) fn ring(&self, alarm: &Sleep) {
        if !alarm.is_elapsed() {
            return;
        }
        self.is_set.set(false);
        if self.deadline() <= self.turn.now() {
            self.is_over.set(true);
        }
    }

    /// Sets the timer, after the connection was driven. A timer that rings too early is set again when it rings.
    pub(crate) fn arm(&self, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) {
        let deadline = self.deadline();
        let is_too_late = deadline < alarm.deadline();
        if is_too_late || !self.is_set.get() {
            // One that rings in time has only to be told whom to wake.
            if is_too_late || alarm.is_elapsed() {
                alarm.as_mut().reset(deadline);
            }
            let has_rung = alarm.poll(context).is_ready();
            self.is_set.set(!has_rung);
            if has_rung {
                context.waker().wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    fn turn() -> Rc<Turn> {
        Rc::new(Turn::new(Clock::start()))
    }

    #[test]
    fn every_phase_has_its_limit_and_only_bodies_and_idleness_are_extended() {
        let second = Duration::from_secs(1);
        let limits = Timeouts {
            connect: second,
            response_header: 2 * second,
            idle: 3 * second,
            keep_alive: 4 * second,
            request_header: 5 * second,
        };
        let watch = Watch::new(limits, turn());
        for (phase, limit, is_extended) in [
            (Phase::Head, limits.request_header, false),
            (Phase::Upload, limits.idle, true),
            (Phase::Answer, limits.response_header, false),
            (Phase::Transfer, limits.idle, true),
            (Phase::Idle, limits.keep_alive, true),
        ] {
            watch.enter(phase);
            let before = watch.since.get() - second;
            watch.since.set(before);
            assert_eq!(watch.deadline(), before + limit, "{phase:?}");
            watch.moved();
            assert_eq!(watch.deadline() > before + limit, is_extended, "{phase:?}");
        }
    }

    #[test]
    fn the_first_byte_after_a_response_begins_a_head() {
        let watch = Watch::new(Timeouts::default(), turn());
        for (phase, then) in [
            (Phase::Idle, Phase::Head),
            (Phase::Head, Phase::Head),
            (Phase::Answer, Phase::Answer),
            (Phase::Transfer, Phase::Transfer),
        ] {
            watch.enter(phase);
            watch.received();
            assert_eq!(watch.phase(), then);
        }
    }
}
