use super::*;
use controller::{
    document::{Document, Kind, Strictness, parse},
    spec::Spec,
};
use crds::schema::{self, Node};
use serde_json::{Value, json};
use std::path::Path;
use traffic::{BackendId, BackendPolicy};

fn spec(document: &Value) -> Spec {
    let parsed = parse("edge.yaml", &document.to_string(), Strictness::Lint);
    let found: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
    spec_of(&parsed.documents)
}

fn spec_of(documents: &[Document]) -> Spec {
    spec::read(documents, Path::new("/etc/sluice")).unwrap()
}

fn settings(spec: &Spec) -> proxy::Config {
    config(&spec.edge, NonZeroUsize::MIN)
}

/// A document in which everything is left out that may be.
fn least() -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Proxy",
        "metadata": {"name": "edge"},
        "spec": {
            "listeners": [{"name": "http", "address": "127.0.0.1:80"}],
            "services": [{"name": "shop", "endpoints": ["127.0.0.1:81"]}],
            "routes": [{"service": "shop"}],
        },
    })
}

/// Writes the documented default of every field that `schema` has and `value` has not. Mappings that are absent by
/// default are gone into where `enter` says so.
fn fill(value: &mut Value, schema: Node<'_>, path: &str, enter: &[&str]) {
    for mapping in schema.alternatives() {
        let fields = mapping.fields().filter(|_| value.is_object());
        for (name, field) in fields.collect::<Vec<_>>() {
            let path = format!("{path}.{name}");
            if let Some(inner) = value.get_mut(name) {
                fill(inner, field, &path, enter);
            } else if enter.contains(&path.as_str()) {
                let mut inner = json!({});
                fill(&mut inner, field, &path, enter);
                value[name] = inner;
            } else if let Some(default) = field.word("default") {
                value[name] = default.clone();
            }
        }
        if let (Some(items), Some(values)) = (mapping.items(), value.as_array_mut()) {
            for value in values {
                fill(value, items, &format!("{path}[]"), enter);
            }
        }
    }
}

/// What the reference calls a default is what a document without the field gets.
#[test]
fn documented_defaults_are_the_real_ones() {
    let mut written = least();
    let enter = [
        ".spec.timeouts",
        ".spec.pool",
        ".spec.limits",
        ".spec.limits.http2",
        ".spec.forwarding",
        ".spec.services[].ejection",
        ".spec.services[].limits",
        ".spec.services[].retry",
    ];
    fill(&mut written, Node::root(schema::proxy()), "", &enter);
    assert!(written["spec"]["limits"]["http2"]["controlFrames"].is_number());
    assert!(written["spec"]["services"][0]["ejection"]["baseTime"].is_string());
    let (least, written) = (spec(&least()), spec(&written));
    let shown = |spec: &Spec| format!("{:#?}", settings(spec));
    assert_eq!(shown(&written), shown(&least));
    let service = BackendId::new("default", "shop");
    let policy = |spec: &Spec| BackendPolicy::clone(&spec.services[&service].policy);
    assert_eq!(policy(&written), policy(&least));
    assert_eq!(policy(&least), BackendPolicy::default());
    let own = proxy::Config::new(Vec::new(), NonZeroUsize::MIN);
    let mut found = settings(&least);
    found.listeners.clear();
    assert_eq!(format!("{found:#?}"), format!("{own:#?}"));
    let drain = written.edge.timeouts.drain;
    assert_eq!(drain, Some(super::super::DRAIN));
}

/// Defaults of mappings that are absent by default.
#[test]
fn documented_defaults_of_what_is_off_are_the_real_ones() {
    let with = |place: &str, value: Value| {
        let mut document = least();
        match document.pointer_mut(place) {
            Some(there) => *there = value,
            None => {
                let (parent, field) = place.rsplit_once('/').unwrap();
                document.pointer_mut(parent).unwrap()[field] = value;
            }
        }
        document
    };
    for (place, value) in [
        ("/spec/accessLog", json!({})),
        (
            "/spec/tracing",
            json!({"endpoint": "http://127.0.0.1:4318/v1/traces"}),
        ),
        ("/spec/services/0/healthCheck", json!({})),
        (
            "/spec/listeners/0/tls",
            json!({"certificates": [{"chainFile": "a", "keyFile": "b"}], "client": {"caFile": "c"}}),
        ),
        (
            "/spec/routes/0/filters",
            json!([
                {"type": "RequestMirror", "requestMirror": {"service": "shop"}},
                {"type": "CORS", "cors": {"allowOrigins": ["*"]}},
            ]),
        ),
        ("/spec/routes/0", json!({"redirect": {"scheme": "https"}})),
        ("/spec/routes/0/rateLimit", json!({"perSecond": 2})),
    ] {
        let bare = with(place, value);
        let mut written = bare.clone();
        fill(&mut written, Node::root(schema::proxy()), "", &[]);
        assert_ne!(written.pointer(place), bare.pointer(place), "{place}");
        let (bare, written) = (spec(&bare), spec(&written));
        let shown = |spec: &Spec| {
            format!(
                "{:#?}{:#?}{:#?}",
                settings(spec),
                spec.services,
                spec.routes
            )
        };
        assert_eq!(shown(&written), shown(&bare), "{place}");
    }
}

/// Every setting of the largest example reaches the proxy: none is left at its default.
#[test]
fn files_are_found_from_the_documents_folder_and_numbers_arrive() {
    let text = include_str!("../../../docs/examples/everything.yaml");
    let parsed = parse("edge.yaml", text, Strictness::Lint);
    assert!(
        parsed
            .documents
            .iter()
            .any(|d| matches!(d.kind, Kind::Proxy(_)))
    );
    let spec = spec_of(&parsed.documents);
    let found = settings(&spec);
    let tls = found.listeners[0].tls.as_ref().unwrap();
    let file = |name: &str| Path::new("/etc/sluice").join(name);
    assert_eq!(tls.certificates[0].chain_file, file("tls/shop.crt"));
    assert_eq!(
        tls.certificates[0].ocsp_file,
        Some(file("tls/shop.ocsp.der"))
    );
    let client = tls.client.as_ref().unwrap();
    assert_eq!(
        (&client.ca_file, client.is_required),
        (&file("tls/clients.pem"), false)
    );
    assert_eq!(found.limits.body_bytes, Some(10_485_760));
    assert_eq!(found.limits.connections_per_client, 1000);
    assert_eq!(found.forwarding.trusted_hops, 1);
    assert_eq!(found.access_log.unwrap().file, Some(file("access.log")));
    assert_eq!(&*found.tracing.unwrap().service_name, "edge");
    let api = &spec.services[&BackendId::new("default", "api")].policy;
    let tls = api.tls.as_ref().unwrap();
    assert_eq!(tls.ca_file, Some(file("tls/internal-ca.pem")));
    assert_eq!(
        tls.certificate,
        Some((file("tls/sluice.crt"), file("tls/sluice.key")))
    );
}
