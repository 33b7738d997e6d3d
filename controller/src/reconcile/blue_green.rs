//! Blue-green: the new version is made ready beside the active one, and the active Service is switched to it.

use crds::status::{BlueGreenStatus, PauseReason, RolloutStatus};

use super::names::DESIRED_REPLICAS;
use super::spec::BlueGreen;
use super::status::number;
use super::work::Work;
use super::{ReplicaSet, selector};

impl Work<'_> {
    pub(super) fn blue_green(&mut self, blue_green: &BlueGreen<'_>) {
        let mut leads = Leads {
            active: self.leads_to(blue_green.active).map(str::to_owned),
            preview: blue_green
                .preview
                .and_then(|preview| self.leads_to(preview))
                .map(str::to_owned),
        };
        if let Some(preview) = blue_green.preview
            && !self.is_halted()
        {
            let hash = self.hash.clone();
            self.switch(preview, &hash);
            leads.preview = Some(hash);
        }
        if !self.has_new_template() {
            self.blue_green_sets(blue_green);
            self.pause_blue_green(blue_green, &leads);
            self.switch_active(blue_green, &mut leads);
        }
        self.finish_blue_green(blue_green, leads);
    }

    /// Only sizes, as the Rollout was scaled.
    pub(super) fn scale_blue_green(&mut self, blue_green: &BlueGreen<'_>) {
        self.blue_green_sets(blue_green);
        let mut next = self.status.clone();
        let active = next.blue_green.as_ref();
        let active = active.and_then(|status| status.active_selector.clone());
        self.count_blue_green(&mut next, active.as_deref());
        self.persist(next);
    }

    fn blue_green_sets(&mut self, blue_green: &BlueGreen<'_>) {
        self.forget_deadlines();
        if let Some(stable) = self.stable {
            self.scale(stable, self.spec.replicas);
        }
        if let Some(new) = self.new.filter(|new| Some(*new) != self.stable) {
            self.scale_preview(blue_green, new);
        }
        self.replace_workload(false);
        self.retire_after_delay(blue_green);
        self.limit_history();
    }

    fn scale_preview(&mut self, blue_green: &BlueGreen<'_>, new: usize) {
        let wanted = self.wanted_preview(blue_green);
        let Some(delay) = blue_green.abort_delay.filter(|_| self.delays_abort()) else {
            self.scale(new, wanted);
            return;
        };
        self.retire_aborted(new, delay);
    }

    /// How many pods the new version is to have before it is active.
    fn wanted_preview(&self, blue_green: &BlueGreen<'_>) -> u32 {
        let all = self.spec.replicas;
        let Some(preview) = blue_green.preview_replicas else {
            return all;
        };
        let status = self.status.blue_green.as_ref();
        let active = status.and_then(|status| status.active_selector.as_deref());
        let is_active = self
            .sets
            .iter()
            .find(|set| active.is_some() && set.hash() == active);
        let passed = status.is_some_and(|status| status.scale_up_preview_check_point == Some(true));
        let is_known = self.status.current_pod_hash.as_deref() == Some(&self.hash);
        let is_paused = self.spec.paused || !self.status.pause_conditions.is_empty();
        if is_active.is_none_or(|set| set.hash() == Some(&self.hash))
            || self.status.promote_full == Some(true)
            || (is_known && !is_paused && passed)
        {
            all
        } else {
            preview
        }
    }

    /// Whether the new version has all the pods that it is to have now.
    fn is_ready(&self, blue_green: &BlueGreen<'_>) -> bool {
        let wanted = self.wanted_preview(blue_green);
        let new = self.new_set();
        new.is_some_and(|set| set.wanted == wanted && set.available == wanted)
    }

    /// Whether `set` has all the pods of the Rollout, and bears that these are all.
    pub(super) fn is_saturated(&self, set: &ReplicaSet) -> bool {
        let all = self.spec.replicas;
        let bears = set.annotations.get(DESIRED_REPLICAS);
        set.wanted == all
            && set.available == all
            && bears.and_then(|text| text.parse::<u32>().ok()) == Some(all)
    }

    /// Whether the switch waits for nothing.
    fn is_fast(&self, leads: &Leads) -> bool {
        self.fast_rollback().is_some()
            || self.status.promote_full == Some(true)
            || leads
                .active
                .as_ref()
                .is_none_or(|active| *active == self.hash)
    }

    fn pause_blue_green(&mut self, blue_green: &BlueGreen<'_>, leads: &Leads) {
        let reason = PauseReason::BlueGreenPause;
        if self.status.abort == Some(true) || !self.is_ready(blue_green) || self.is_halted() {
            return;
        }
        let pauses = !blue_green.promotes_itself || blue_green.promotes_after.is_some();
        if self.is_fast(leads) || self.passed_check_point() || !pauses {
            self.pauses.remove.push(reason);
        } else if self.paused_since(&reason).is_some() {
            if self.is_pause_over(blue_green) {
                self.pauses.remove.push(reason);
            }
        } else if !self.was_resumed(&reason) {
            self.pauses.add.push(reason);
        }
    }

    fn passed_check_point(&self) -> bool {
        let status = self.status.blue_green.as_ref();
        status.is_some_and(|status| status.scale_up_preview_check_point == Some(true))
    }

    /// Whether the new version was looked at for long enough, or a person says so.
    fn is_pause_over(&mut self, blue_green: &BlueGreen<'_>) -> bool {
        let reason = PauseReason::BlueGreenPause;
        if !self.pauses.add.is_empty() {
            return false;
        }
        if self.passed_check_point() || self.was_resumed(&reason) {
            return true;
        }
        match (blue_green.promotes_itself, blue_green.promotes_after) {
            (true, None) => true,
            (true, Some(duration)) => match self.paused_since(&reason) {
                Some(since) => self.is_over(since, duration),
                None => false,
            },
            (false, _) => false,
        }
    }

    /// Makes the active Service lead to the new version when it may, and back at once when the update is aborted.
    fn switch_active(&mut self, blue_green: &BlueGreen<'_>, leads: &mut Leads) {
        let hash = if self.is_aborted() {
            self.status.stable_rs.clone()
        } else if self.is_halted()
            || !self.is_ready(blue_green)
            || !self.new_set().is_some_and(|set| self.is_saturated(set))
        {
            None
        } else if self.is_fast(leads) || self.is_pause_over(blue_green) {
            Some(self.hash.clone())
        } else {
            None
        };
        if let Some(hash) = hash {
            // The first version is stable before it is active, so that the Service never leads to what nobody wanted.
            if self.stable.is_some() {
                self.switch(blue_green.active, &hash);
                leads.active = Some(hash);
            }
        }
    }

    fn finish_blue_green(&mut self, blue_green: &BlueGreen<'_>, leads: Leads) {
        let mut next = self.base_status();
        let mut check_point = self.passed_check_point();
        if self.has_new_template() {
            self.reset_status(&mut next);
            check_point = false;
        }
        if self.status.promote_full == Some(true) || self.is_within_window() {
            self.pauses.clear = true;
            self.pauses.remove_abort = true;
        }
        let active = leads.active.clone();
        next.blue_green = Some(BlueGreenStatus {
            preview_selector: leads.preview,
            active_selector: leads.active,
            ..BlueGreenStatus::default()
        });
        if let Some(reason) = self.promotes_blue_green(active.as_deref()) {
            self.promote(&mut next, reason);
        } else if let Some(status) = &mut next.blue_green {
            let passed = check_point || self.passes_check_point(blue_green);
            let passed = passed && !self.has_new_template();
            let has_count = blue_green.preview_replicas.is_some();
            status.scale_up_preview_check_point = (has_count && passed).then_some(true);
        }
        self.count_blue_green(&mut next, active.as_deref());
        self.persist(next);
    }

    /// The preview's pods were looked at, so it may have all.
    fn passes_check_point(&mut self, blue_green: &BlueGreen<'_>) -> bool {
        let available = self.new_set().map(|set| set.available);
        available.is_some()
            && available == blue_green.preview_replicas
            && self.is_pause_over(blue_green)
    }

    /// Why the new version becomes stable, if it does.
    fn promotes_blue_green(&self, active: Option<&str>) -> Option<&'static str> {
        if self.stable_set().is_none() || active.is_none() {
            return Some("Initial deploy");
        }
        if active != Some(&self.hash) {
            return None;
        }
        if self.status.promote_full == Some(true) {
            return Some("Full promotion requested");
        }
        let back = self.fast_rollback();
        if back.is_some() || self.is_aborted() {
            return back;
        }
        Some("Completed blue-green update")
    }

    /// Counts and selector are those of the active version: that is what autoscalers are to look at.
    fn count_blue_green(&self, next: &mut RolloutStatus, active: Option<&str>) {
        let active = self
            .sets
            .iter()
            .find(|set| active.is_some() && set.hash() == active);
        if let Some(active) = active {
            let mut selector = self.spec.selector.clone();
            if let Some(hash) = active.hash() {
                let key = super::names::POD_HASH.to_owned();
                selector.match_labels.insert(key, hash.to_owned());
            }
            next.selector = Some(selector::text(&selector));
            next.hpa_replicas = number(active.replicas);
            next.available_replicas = number(active.available);
            next.ready_replicas = number(active.ready);
        } else {
            next.selector = Some(selector::text(self.spec.selector));
            let replicas = self.sets.iter().map(|set| set.replicas).sum();
            next.hpa_replicas = number(replicas);
            next.available_replicas = number(self.available());
        }
    }
}

/// The hashes that the two Services lead to, after what the turn wrote.
struct Leads {
    active: Option<String>,
    preview: Option<String>,
}
