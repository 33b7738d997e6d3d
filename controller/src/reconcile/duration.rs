//! `status.duration`: how long an update took, and how much of that it waited for people.

use crds::Time;
use crds::status::{CompletionStatus, DurationStatus, RolloutStatus};
use jiff::Timestamp;

use super::conditions::{self, ABORTED, PROGRESSING};
use super::spec::Strategy;
use super::work::Work;

impl Work<'_> {
    /// The duration that goes with `next`, whose pauses are known.
    pub(super) fn calculate_duration(&self, next: &RolloutStatus) -> Option<DurationStatus> {
        let now = Time::from(self.now);
        let seen = self.status.duration.as_ref();
        let changed = self.status.current_pod_hash.is_none()
            || match &self.spec.strategy {
                Strategy::Canary(canary) => self.has_changed(canary),
                Strategy::BlueGreen(_) => self.has_new_template(),
            };
        let is_promoted = next.stable_rs == next.current_pod_hash;
        let is_whole = self
            .new_set()
            .is_some_and(|set| set.available >= self.spec.replicas);
        let is_complete = is_promoted && is_whole;
        let mut duration = next.duration.clone();

        let is_running =
            seen.is_some_and(|seen| seen.rollout_started_at.is_some() && !is_over(seen));
        if is_running && let Some(running) = &mut duration {
            if changed {
                self.interrupt(running, now);
            }
            if is_complete && !is_over(running) {
                finish(running, now, CompletionStatus::Promoted);
                return duration;
            }
            if self.is_aborted() && !is_over(running) {
                finish(running, now, CompletionStatus::Aborted);
            }
        }

        let mut was_paused = seen.is_some_and(|seen| seen.manual_pause_started_at.is_some());
        let begins = duration
            .as_ref()
            .is_none_or(|known| is_over(known) && !is_complete);
        if begins {
            was_paused = false;
            let known = &self.status.conditions;
            let retries = !self.is_aborted() && conditions::has(known, PROGRESSING, ABORTED);
            if (changed && !is_complete) || retries {
                duration = Some(DurationStatus {
                    rollout_started_at: Some(now),
                    ..DurationStatus::default()
                });
            }
        }
        let running = duration.as_mut()?;
        if !is_over(running) {
            self.count_pause(running, next, was_paused);
        }
        duration
    }

    /// Another version is wanted before this update is over: a way back goes on counting, anything else begins anew.
    fn interrupt(&self, running: &mut DurationStatus, now: Time) {
        let (Some(new), Some(stable)) = (self.new_set(), self.stable_set()) else {
            return finish(running, now, CompletionStatus::Superseded);
        };
        let goes_back = new.hash() == stable.hash() || new.created < stable.created;
        if !goes_back {
            return finish(running, now, CompletionStatus::Superseded);
        }
        running.completion_status = Some(match self.fast_rollback() {
            Some(_) => CompletionStatus::FastRolledBack,
            None => CompletionStatus::RolledBack,
        });
    }

    fn count_pause(&self, running: &mut DurationStatus, next: &RolloutStatus, was_paused: bool) {
        let mut pauses = next.pause_conditions.iter();
        let is_paused = self.spec.paused || pauses.any(|pause| self.needs_person(&pause.reason));
        match running.manual_pause_started_at {
            Some(_) if was_paused && !is_paused => end_pause(running, self.now),
            None if !was_paused && is_paused => {
                running.manual_pause_started_at = Some(self.now.into());
            }
            _ => {}
        }
    }
}

/// Whether the update is over, and how it ended is known.
fn is_over(duration: &DurationStatus) -> bool {
    duration.finished_at.is_some()
}

/// Ends the update now, as `outcome` unless it is known to end otherwise.
fn finish(running: &mut DurationStatus, now: Time, outcome: CompletionStatus) {
    end_pause(running, now.into());
    running.finished_at = Some(now);
    let known = running.completion_status.take();
    let is_new = outcome == CompletionStatus::Superseded;
    running.completion_status = Some(known.filter(|_| !is_new).unwrap_or(outcome));
}

/// Adds the pause that a person is waited for in, if there is one.
fn end_pause(running: &mut DurationStatus, now: Timestamp) {
    if let Some(since) = running.manual_pause_started_at.take() {
        let before = running.total_manual_pause_duration_seconds.unwrap_or(0);
        let waited = now.duration_since(Timestamp::from(since)).as_secs();
        running.total_manual_pause_duration_seconds = Some(before.saturating_add(waited));
    }
}
