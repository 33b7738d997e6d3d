//! Taking what is due, and having its turns taken: several Rollouts at a time, each by one at a time.

use crate::{
    api::Failure,
    key::Key,
    queue::Left,
    random,
    rounds::{Rounds, Trouble},
    spans,
};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    time::{Duration, Instant},
};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{Instrument as _, Span};

/// A turn that asks to be woken earlier waits for this long: no mistake in it becomes a busy loop.
const SOONEST: Duration = Duration::from_millis(10);

type Result = std::result::Result<Option<Timestamp>, Trouble>;

/// Works for ever; at most `concurrency` Rollouts at a time.
pub(crate) async fn work(rounds: Rounds, concurrency: NonZeroUsize) {
    let shared = rounds.shared.clone();
    let mut tasks = JoinSet::new();
    let mut taken: HashMap<Id, (Key, Instant)> = HashMap::new();
    loop {
        while tasks.len() < concurrency.get()
            && let Some(next) = shared.take()
        {
            shared.counts.waited(next.waited);
            let (rounds, key) = (rounds.clone(), next.key.clone());
            let span = spans::turn_span(&key.namespace, &key.name);
            let turns = async move {
                let ended = rounds.take(&key).await;
                if let Err(why) = &ended {
                    spans::failed(&Span::current(), why);
                }
                ended
            };
            let task = tasks.spawn(turns.instrument(span));
            taken.insert(task.id(), (next.key, Instant::now()));
        }
        let is_full = tasks.len() >= concurrency.get();
        let timer = shared.next_timer();
        tokio::select! {
            Some(ended) = tasks.join_next_with_id() => {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                if let Some((key, since)) = taken.remove(&id) {
                    shared.counts.reconciled(since.elapsed());
                    let left = left(&rounds, &key, &ended.map(|(_, result)| result));
                    shared.leave(&key, left, random());
                }
            }
            () = shared.rung() => {}
            () = until(timer), if timer.is_some() && !is_full => {}
        }
    }
}

async fn until(timer: Option<Instant>) {
    if let Some(at) = timer {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// How a Rollout is left after its turns, which may have panicked.
fn left(rounds: &Rounds, key: &Key, ended: &std::result::Result<Result, JoinError>) -> Left {
    let why: &dyn std::fmt::Display = match ended {
        Ok(Ok(None)) => return Left::Done(None),
        Ok(Ok(Some(wake_at))) => return Left::Done(Some(instant(*wake_at))),
        // The term is over, which is told once.
        Ok(Err(Trouble::Write {
            why: Failure::Fenced,
            ..
        })) => return Left::Failed,
        Ok(Err(trouble)) => trouble,
        Err(panic) => panic,
    };
    rounds.shared.counts.reconcile_failed();
    tracing::warn!(rollout = %key, "is tried again: {why}");
    Left::Failed
}

/// When the clock on the wall will show `at`.
fn instant(at: Timestamp) -> Instant {
    let ahead = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    let now = Instant::now();
    now.checked_add(ahead.max(SOONEST)).unwrap_or(now + SOONEST)
}
