//! Who leads, as a Lease of the cluster says, and what follows from it. Pure.
//!
//! No clock of another machine is believed: a lease has run out when its record has not changed for as long as its
//! duration, by the clock of whoever looks at it.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// How long a lease is held without being renewed, and how it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait after a renewal was seen before they take over.
    pub duration: Duration,
    /// How long after the last renewal was sent its holder still writes. Less than the duration: what lies between is
    /// for what is on its way, and for clocks that go differently fast.
    pub renew_deadline: Duration,
    /// How long to wait between two attempts. Less than the deadline.
    pub retry_period: Duration,
}

impl Default for Timing {
    /// What leaders of Kubernetes have by default.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Why a timing cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTiming {
    /// The lease is given in whole seconds.
    #[error("lease duration: found {0:?}, allowed are whole seconds, 1 or more")]
    Duration(Duration),
    /// Two would lead at once.
    #[error("renew deadline: found {0:?}, allowed is less than the lease duration, {1:?}")]
    Deadline(Duration, Duration),
    /// A lease would be lost before a second attempt.
    #[error(
        "retry period: found {0:?}, allowed is more than 0 and less than the renew deadline, {1:?}"
    )]
    Retry(Duration, Duration),
}

impl Timing {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(self) -> Result<Self, NoTiming> {
        let Self {
            duration,
            renew_deadline,
            retry_period,
        } = self;
        if duration.subsec_nanos() != 0 || !(1..=i32::MAX as u64).contains(&duration.as_secs()) {
            return Err(NoTiming::Duration(duration));
        }
        if renew_deadline >= duration {
            return Err(NoTiming::Deadline(renew_deadline, duration));
        }
        if retry_period.is_zero() || retry_period >= renew_deadline {
            return Err(NoTiming::Retry(retry_period, renew_deadline));
        }
        Ok(self)
    }
}

/// What a Lease says, in one of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who holds it; nobody when empty.
    pub(crate) holder: String,
    /// For how long it is held without being renewed.
    pub(crate) duration: Duration,
    /// Which state: changes with every renewal.
    pub(crate) version: String,
}

/// The last state of a Lease, and when it was first seen, by the clock of whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    record: Record,
    at: Duration,
}

impl Observed {
    /// What is known after `record` was read at `now`, when `before` was known.
    pub(crate) fn after(before: Option<Self>, record: Record, now: Duration) -> Self {
        match before {
            Some(before) if before.record == record => before,
            _ => Self { record, at: now },
        }
    }
}

/// What is to be done about a lease by somebody who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is none: make it.
    Create,
    /// Nobody holds it any more: take it.
    Acquire,
    /// It is held already, from before: keep it.
    Renew,
    /// Somebody else holds it, until then at least.
    Wait(Duration),
}

/// What `me` is to do about the lease at `now`.
pub(crate) fn decide(lease: Option<&Observed>, now: Duration, me: &str) -> Decision {
    let Some(Observed { record, at }) = lease else {
        return Decision::Create;
    };
    let until = at.saturating_add(record.duration);
    match record.holder.as_str() {
        holder if holder == me => Decision::Renew,
        "" => Decision::Acquire,
        _ if until <= now => Decision::Acquire,
        _ => Decision::Wait(until),
    }
}
