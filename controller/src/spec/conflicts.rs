//! Routes beside each other that nobody can have meant so.

use super::{Spec, path};
use crate::document::{Document, Finding, Kind, Severity};
use crds::FieldPath;
use traffic::{
    matches::HostMatch,
    route::{self, Conditions, Conflict},
};

/// What is odd about the routes of `spec`, which was read from `documents`. Nothing of it keeps the spec from being acted
/// on: as the Gateway API says, the route that goes first takes the requests.
pub fn conflicts(spec: &Spec, documents: &[Document]) -> Vec<Finding> {
    let proxy = documents
        .iter()
        .find(|document| matches!(document.kind, Kind::Proxy(_)));
    let Some(document) = proxy else {
        return Vec::new();
    };
    let conditions: Vec<_> = spec
        .routes
        .iter()
        .map(|route| Conditions {
            listeners: &route.listeners,
            hosts: &route.hosts,
            matches: &route.matches,
        })
        .collect();
    let at = |route: usize, field: &str, index: usize| {
        path("spec.routes").index(route).key(field).index(index)
    };
    let finding = |conflict| {
        let (path, message) = match conflict {
            Conflict::SameHost {
                route,
                first,
                again,
            } => {
                let first = at(route, "hosts", first);
                let message = format!("is the same host as {first}, and has no effect");
                (at(route, "hosts", again), message)
            }
            Conflict::Unreachable {
                route,
                condition,
                host,
                by_route,
                by_condition,
            } => (
                at(route, "matches", condition),
                unreachable(&host, &at(by_route, "matches", by_condition)),
            ),
        };
        let path = path.to_string();
        Finding {
            severity: Severity::Warning,
            location: document.source.locate(&path),
            path,
            message,
        }
    };
    route::conflicts(&conditions)
        .into_iter()
        .map(finding)
        .collect()
}

fn unreachable(host: &HostMatch, by: &FieldPath) -> String {
    let host = match host {
        HostMatch::Any => "any host".to_owned(),
        HostMatch::Exact(host) => host.to_string(),
        HostMatch::Wildcard(suffix) => format!("*{suffix}"),
    };
    format!("no request for {host} ever comes here: {by} takes them first")
}

#[cfg(test)]
mod tests {
    use crate::{
        document::{Strictness, parse},
        spec,
    };
    use std::path::Path;

    #[test]
    fn routes_that_nothing_reaches_are_told_where_they_are() {
        let text = "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  listeners: [{name: http, address: '127.0.0.1:80'}]
  services: [{name: a, endpoints: ['127.0.0.1:81']}]
  routes:
  - {service: a, matches: [{path: {value: /b}}, {path: {value: /a}}]}
  - {service: a, hosts: [a.example, '*.b.example', a.example]}
  - {service: a, matches: [{path: {value: /a}, method: GET}, {path: {value: /a}}]}
  - {service: a, hosts: ['*.b.example']}
";
        let documents = parse("edge.yaml", text, Strictness::Lint).documents;
        let spec = spec::read(&documents, Path::new("")).unwrap();
        let found: Vec<_> = spec::conflicts(&spec, &documents)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "edge.yaml:9:52: warning: spec.routes[1].hosts[2]: is the same host as spec.routes[1].hosts[0], and \
                 has no effect",
                "edge.yaml:10:62: warning: spec.routes[2].matches[1]: no request for any host ever comes here: \
                 spec.routes[0].matches[1] takes them first",
                "edge.yaml:11:5: warning: spec.routes[3].matches[0]: no request for *.b.example ever comes here: \
                 spec.routes[1].matches[0] takes them first",
            ]
        );
    }
}
