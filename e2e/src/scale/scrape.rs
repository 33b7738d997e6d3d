//! What the controller counts of its own work.

use std::collections::BTreeMap;

/// Counters of one scrape, or of the time between two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// Requests to the API server, by verb and kind, and by what became of those that failed.
    pub requests: BTreeMap<String, u64>,
    /// How often a Rollout was taken from the queue.
    pub reconciles: u64,
    /// Events that nobody was told of.
    pub events_lost: u64,
}

impl Scrape {
    /// What a page of metrics in the format OpenMetrics says.
    pub fn read(page: &str) -> Self {
        let mut read = Self::default();
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        for (series, value) in samples.filter_map(|line| line.rsplit_once(' ')) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            // Durations and gauges have fractions, and are not looked at.
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            match name {
                "controller_clientset_k8s_request_total" => {
                    *read.requests.entry(request(labels)).or_default() += value;
                }
                "rollout_reconcile_count" => read.reconciles = value,
                "sluice_controller_events_lost_total" => read.events_lost = value,
                _ => {}
            }
        }
        read
    }

    /// What was counted after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            requests: since(&self.requests, &before.requests),
            reconciles: self.reconciles.saturating_sub(before.reconciles),
            events_lost: self.events_lost.saturating_sub(before.events_lost),
        }
    }

    /// All requests.
    pub(super) fn all(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Those that tell people of something.
    pub(super) fn events(&self) -> u64 {
        let of_events = self.requests.iter();
        let of_events = of_events.filter(|(request, _)| request.starts_with("create Event"));
        of_events.map(|(_, count)| count).sum()
    }
}

/// The requests of all that an API server has answered, by verb and resource, as it tells itself; watches end late, and are
/// not counted.
pub(super) fn answered(page: &str) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    let series = page
        .lines()
        .filter_map(|line| line.strip_prefix("apiserver_request_total{"));
    for (labels, value) in series.filter_map(|line| line.rsplit_once(' ')) {
        let [verb, resource, part] =
            ["verb", "resource", "subresource"].map(|name| label(labels, name));
        let Some(count) = value.parse::<f64>().ok().filter(|_| verb != "WATCH") else {
            continue;
        };
        let request = match part {
            "?" | "" => format!("{verb} {resource}"),
            part => format!("{verb} {resource}/{part}"),
        };
        *answered.entry(request).or_default() += count as u64;
    }
    answered
}

/// What was counted after `before`.
pub(super) fn since(
    after: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let counted = after.iter().map(|(request, count)| {
        let before = before.get(request).copied().unwrap_or(0);
        (request.clone(), count.saturating_sub(before))
    });
    counted.filter(|(_, count)| *count > 0).collect()
}

fn label<'l>(labels: &'l str, name: &str) -> &'l str {
    // The first label follows nothing, the others a comma.
    let key = format!("{name}=\"");
    let found = labels.match_indices(&key).find(|(at, _)| {
        let before = labels[..*at].chars().next_back();
        matches!(before, None | Some(','))
    });
    let value = found.and_then(|(at, _)| labels[at + key.len()..].split('"').next());
    value.unwrap_or("?")
}

/// `verb kind`, with the status where the request failed.
fn request(labels: &str) -> String {
    let [verb, kind, code] = ["verb", "kind", "status_code"].map(|name| label(labels, name));
    match code {
        "ok" => format!("{verb} {kind}"),
        failed => format!("{verb} {kind} ({failed})"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Scrape, answered};

    const PAGE: &str = r#"# TYPE controller_clientset_k8s_request counter
controller_clientset_k8s_request_total{kind="Event",verb="create",status_code="ok"} 7
controller_clientset_k8s_request_total{kind="Rollout",verb="patch",status_code="ok"} 5
controller_clientset_k8s_request_total{kind="Rollout",verb="patch",status_code="409"} 1
rollout_reconcile_sum 0.25
rollout_reconcile_count 9
sluice_controller_events_lost_total 2
# EOF
"#;

    #[test]
    fn requests_of_all_are_counted_without_watches() {
        let page = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="pods",verb="WATCH"} 4
apiserver_request_total{code="200",resource="pods",verb="PATCH"} 12
apiserver_request_total{code="409",resource="pods",verb="PATCH"} 1.2e+06
apiserver_request_total{code="200",resource="pods",subresource="status",verb="PATCH"} 3
apiserver_request_slo_total{verb="PATCH"} 9
"#;
        let requests = [("PATCH pods", 1_200_012), ("PATCH pods/status", 3)];
        let requests = requests.map(|(request, count)| (request.to_owned(), count));
        assert_eq!(answered(page), requests.into());
    }

    #[test]
    fn what_is_counted_is_read() {
        let read = Scrape::read(PAGE);
        let requests = [
            ("create Event", 7),
            ("patch Rollout", 5),
            ("patch Rollout (409)", 1),
        ];
        let requests = requests.map(|(request, count)| (request.to_owned(), count));
        assert_eq!(read.requests, requests.into());
        assert_eq!((read.reconciles, read.events_lost), (9, 2));
        assert_eq!((read.all(), read.events()), (13, 7));
        let later = PAGE.replace("} 5", "} 8").replace("count 9", "count 10");
        let since = Scrape::read(&later).since(&read);
        assert_eq!(since.requests, [("patch Rollout".to_owned(), 3)].into());
        assert_eq!((since.reconciles, since.events_lost), (1, 0));
    }
}
