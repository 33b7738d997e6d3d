//! What is counted as it happens.

use controller::reconcile::Event;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::time::Duration;

/// From a turn without a write to a write that waits for a slow API server, in seconds.
const TURNS: [f64; 10] = [0.000_1, 0.001, 0.01, 0.05, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0];
/// From nobody before it to a flood, in seconds.
const WAITS: [f64; 8] = [0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

type NoLabels = [(&'static str, &'static str); 0];

/// All counters.
#[derive(Debug)]
pub(crate) struct Counts {
    reconciled: Histogram,
    reconcile_failed: Counter,
    events: Family<EventLabels, Counter>,
    events_lost: Counter,
    requests: Family<RequestLabels, Counter>,
    watch_failed: Family<KindLabels, Counter>,
    adds: Counter,
    retries: Counter,
    waits: Histogram,
    proxies: Gauge,
    asked: Family<ResultLabels, Counter>,
    reviewed: Family<ResultLabels, Counter>,
    /// Empty where no certificate is served.
    webhook_certificate: Family<NoLabels, Gauge>,
}

/// What came of a request to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reviewed {
    Allowed,
    Denied,
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    r#type: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    verb: &'static str,
    status_code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            reconciled: Histogram::new(TURNS),
            reconcile_failed: Counter::default(),
            events: Family::default(),
            events_lost: Counter::default(),
            requests: Family::default(),
            watch_failed: Family::default(),
            adds: Counter::default(),
            retries: Counter::default(),
            waits: Histogram::new(WAITS),
            proxies: Gauge::default(),
            asked: Family::default(),
            reviewed: Family::default(),
            webhook_certificate: Family::default(),
        }
    }
}

impl Counts {
    pub(super) fn register(&self, to: &mut Registry) {
        let help =
            "Seconds from when a Rollout was taken from the queue until nothing was left to write";
        to.register("rollout_reconcile", help, self.reconciled.clone());
        let help = "Rollouts that had to be tried again";
        to.register(
            "rollout_reconcile_error",
            help,
            self.reconcile_failed.clone(),
        );
        to.register("rollout_events", "Events of Rollouts", self.events.clone());
        let help = "Events that were not sent, as too many waited or the API server refused them";
        to.register(
            "sluice_controller_events_lost",
            help,
            self.events_lost.clone(),
        );
        let help = "Requests to the API server, without lists and watches, by what became of them";
        to.register(
            "controller_clientset_k8s_request",
            help,
            self.requests.clone(),
        );
        let help = "Lists and watches that failed, and were begun again after a while";
        to.register(
            "sluice_controller_watch_errors",
            help,
            self.watch_failed.clone(),
        );
        let help = "Rollouts that became due by a change";
        to.register("workqueue_adds", help, self.adds.clone());
        let help = "Rollouts that are tried again after a while";
        to.register("workqueue_retries", help, self.retries.clone());
        let help = "For how long Rollouts were due before they were taken";
        to.register_with_unit(
            "workqueue_queue_duration",
            help,
            Unit::Seconds,
            self.waits.clone(),
        );
        let help = "Proxies that are live, by the Service that leads to them";
        to.register("sluice_controller_proxies", help, self.proxies.clone());
        let help = "Times that a proxy was asked what it counts, by whether it told";
        to.register("sluice_controller_proxy_reports", help, self.asked.clone());
        let help = "Requests to the webhook, by what came of them";
        to.register(
            "sluice_controller_webhook_requests",
            help,
            self.reviewed.clone(),
        );
        let help = "When the certificate that the webhook serves expires, in seconds since 1970";
        to.register_with_unit(
            "sluice_controller_webhook_certificate_expiry",
            help,
            Unit::Seconds,
            self.webhook_certificate.clone(),
        );
    }

    /// So many proxies are live.
    pub(crate) fn proxies(&self, live: usize) {
        self.proxies.set(i64::try_from(live).unwrap_or(i64::MAX));
    }

    /// A proxy was asked what it counts.
    pub(crate) fn asked_proxy(&self, told: bool) {
        let result = if told { "told" } else { "silent" };
        self.asked.get_or_create(&ResultLabels { result }).inc();
    }

    /// The webhook was asked.
    pub(crate) fn reviewed(&self, what: Reviewed) {
        let result = match what {
            Reviewed::Allowed => "allowed",
            Reviewed::Denied => "denied",
            Reviewed::Unreadable => "unreadable",
        };
        self.reviewed.get_or_create(&ResultLabels { result }).inc();
    }

    /// The webhook serves a certificate until then, since 1970.
    pub(crate) fn webhook_certificate(&self, until: Duration) {
        let until = i64::try_from(until.as_secs()).unwrap_or(i64::MAX);
        self.webhook_certificate.get_or_create(&[]).set(until);
    }

    pub(crate) fn reconciled(&self, took: Duration) {
        self.reconciled.observe(took.as_secs_f64());
    }

    pub(crate) fn reconcile_failed(&self) {
        self.reconcile_failed.inc();
        self.retries.inc();
    }

    pub(crate) fn event(&self, event: &Event) {
        let labels = EventLabels {
            r#type: if event.warns { "Warning" } else { "Normal" },
            reason: event.reason,
        };
        self.events.get_or_create(&labels).inc();
    }

    pub(crate) fn event_lost(&self) {
        self.events_lost.inc();
    }

    #[cfg(test)]
    pub(crate) fn events_lost(&self) -> u64 {
        self.events_lost.get()
    }

    pub(crate) fn requested(&self, kind: &'static str, verb: &'static str, status_code: String) {
        let labels = RequestLabels {
            kind,
            verb,
            status_code,
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn watch_failed(&self, kind: &'static str) {
        self.watch_failed.get_or_create(&KindLabels { kind }).inc();
    }

    pub(crate) fn queued(&self, rollouts: usize) {
        self.adds
            .inc_by(u64::try_from(rollouts).unwrap_or(u64::MAX));
    }

    pub(crate) fn waited(&self, waited: Duration) {
        self.waits.observe(waited.as_secs_f64());
    }
}
