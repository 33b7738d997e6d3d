//! Rules of the proxy document.

use crds::Proxy;

use super::{listener, name, route, service};
use crate::document::report::Report;

/// Checks a Proxy, beyond the ranges of its numbers.
pub(in crate::document) fn proxy(proxy: &Proxy, report: &mut Report<'_>) {
    name::object(proxy.metadata.name.as_deref(), "metadata.name", report);
    name::optional_object(
        proxy.metadata.namespace.as_deref(),
        "metadata.namespace",
        report,
    );
    let spec = &proxy.spec;
    listener::listeners(spec, report);
    listener::admin(spec.admin.as_ref(), report);
    if let Some(forwarding) = &spec.forwarding {
        listener::forwarding(forwarding, report);
    }
    if let Some(log) = &spec.access_log {
        listener::access_log(log, report);
    }
    if let Some(tracing) = &spec.tracing {
        listener::tracing(tracing, report);
    }
    service::services(&spec.services, proxy.metadata.namespace(), report);
    route::routes(spec, report);
}
