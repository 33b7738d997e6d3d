//! The endpoints of Services, and how they are spoken to.

use super::{Fault, Folder, edge::address, header_name, path};
use crds::{
    Choice, FieldPath,
    proxy::{self, BalancingWord, HashKey, HashKind, ProxySpec},
    sluice::Switch,
};
use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};
use traffic::{
    BackendId, BackendPolicy, Weight,
    policy::{
        self, BackendLimits, BackendTls, Balancing, Ejection, HealthCheck, Protocol, ProxyProtocol,
        Retry, StreamDrain,
    },
};

/// A Service: where its endpoints are and how they are spoken to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceSpec {
    /// Its endpoints; may be empty.
    pub endpoints: Arc<[SocketAddr]>,
    /// How they are spoken to. The same value as long as it says the same, so that who keeps something of it need not
    /// compare it.
    pub policy: Arc<BackendPolicy>,
}

impl ServiceSpec {
    /// Takes over from `older` what is the same.
    pub(crate) fn share(&mut self, older: &Self) {
        if self.endpoints == older.endpoints {
            self.endpoints = Arc::clone(&older.endpoints);
        }
        if self.policy == older.policy {
            self.policy = Arc::clone(&older.policy);
        }
    }
}

/// The Services of a proxy, by name.
pub(super) fn services(
    spec: &ProxySpec,
    namespace: &str,
    folder: &Folder<'_>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<BackendId, ServiceSpec> {
    let mut services = BTreeMap::new();
    for (i, service) in spec.services.iter().enumerate() {
        let at = path("spec.services").index(i);
        let endpoints = service.endpoints.iter().enumerate();
        let endpoints = endpoints
            .filter_map(|(j, written)| address(written, at.key("endpoints").index(j), faults))
            .collect();
        let id = BackendId::new(
            service.namespace.as_deref().unwrap_or(namespace),
            &service.name,
        );
        let policy = Arc::new(policy(service, &at, folder, faults));
        services.insert(id, ServiceSpec { endpoints, policy });
    }
    services
}

fn policy(
    written: &proxy::Service,
    at: &FieldPath,
    folder: &Folder<'_>,
    faults: &mut Vec<Fault>,
) -> BackendPolicy {
    let default = BackendPolicy::default();
    BackendPolicy {
        protocol: match written.protocol.unwrap_or_default() {
            proxy::Protocol::Http => Protocol::Http1,
            proxy::Protocol::Http2 => Protocol::Http2,
        },
        tls: written.tls.as_ref().map(|written| tls(written, folder)),
        proxy_protocol: written.proxy_protocol.map(|version| match version {
            proxy::ProxyProtocol::V1 => ProxyProtocol::V1,
            proxy::ProxyProtocol::V2 => ProxyProtocol::V2,
        }),
        balancing: match &written.balancing {
            None => default.balancing,
            Some(written) => balancing(written, &at.key("balancing"), faults),
        },
        slow_start: written.slow_start.map(Duration::from),
        ejection: match &written.ejection {
            None => default.ejection,
            Some(Switch::Off) => None,
            Some(Switch::On(options)) => Some(ejection(options)),
        },
        health_check: written.health_check.as_ref().map(health_check),
        limits: limits(written.limits.as_ref(), default.limits),
        retry: retry(written.retry.as_ref(), default.retry),
        stream_drain: match written.stream_drain {
            None => default.stream_drain,
            Some(proxy::StreamDrain::Keep) => StreamDrain::Keep,
            Some(proxy::StreamDrain::CloseAfter(time)) => StreamDrain::CloseAfter(time.into()),
        },
    }
}

fn tls(written: &proxy::ServiceTls, folder: &Folder<'_>) -> BackendTls {
    let certificate = written.certificate.as_ref();
    BackendTls {
        ca_file: written.ca_file.as_ref().map(|file| folder.join(file)),
        server_name: written.server_name.as_deref().map(Box::from),
        certificate: certificate.map(|certificate| {
            (
                folder.join(&certificate.chain_file),
                folder.join(&certificate.key_file),
            )
        }),
    }
}

fn balancing(written: &proxy::Balancing, at: &FieldPath, faults: &mut Vec<Fault>) -> Balancing {
    match written {
        Choice::Word(BalancingWord::PowerOfTwo) => Balancing::PowerOfTwo,
        Choice::Word(BalancingWord::RoundRobin) => Balancing::RoundRobin,
        Choice::Mapping(hash) => hash_key(&hash.consistent_hash, &at.key("consistentHash"), faults)
            .map_or_else(Balancing::default, Balancing::ConsistentHash),
    }
}

fn hash_key(written: &HashKey, at: &FieldPath, faults: &mut Vec<Fault>) -> Option<policy::HashKey> {
    Some(match written.kind() {
        Ok(HashKind::Header(name)) => {
            policy::HashKey::Header(header_name(name, at.key("header"), faults)?)
        }
        Ok(HashKind::Cookie(name)) => policy::HashKey::Cookie(name.into()),
        Ok(HashKind::ClientAddress) => policy::HashKey::ClientAddress,
        Err(error) => {
            faults.push((at.clone(), error.to_string()));
            return None;
        }
    })
}

fn ejection(written: &proxy::Ejection) -> Ejection {
    let default = Ejection::default();
    let percent = |percent: u32| Weight::from_percent(u8::try_from(percent).ok()?);
    let or = |written: Option<crds::GoDuration>, default| written.map_or(default, Duration::from);
    Ejection {
        consecutive_failures: match written.consecutive_failures {
            None => default.consecutive_failures,
            Some(failures) => NonZeroU32::new(failures),
        },
        excess_failure_ratio: written.excess_failure_ratio,
        min_requests: written.min_requests.unwrap_or(default.min_requests),
        base_time: or(written.base_time, default.base_time),
        max_time: or(written.max_time, default.max_time),
        max_ejected: written
            .max_ejected
            .and_then(percent)
            .unwrap_or(default.max_ejected),
    }
}

fn health_check(written: &proxy::HealthCheck) -> HealthCheck {
    use crds::proxy::HealthCheck as Written;
    // What is not 0 is checked with the document.
    let times = |written: Option<u32>, default| {
        NonZeroU32::new(written.unwrap_or(default)).unwrap_or(NonZeroU32::MIN)
    };
    HealthCheck {
        path: written.path.as_deref().map(Box::from),
        host: written.host.as_deref().map(Box::from),
        interval: written.interval.unwrap_or(Written::DEFAULT_INTERVAL).into(),
        timeout: written.timeout.unwrap_or(Written::DEFAULT_TIMEOUT).into(),
        unhealthy_after: times(written.unhealthy_after, Written::DEFAULT_UNHEALTHY_AFTER),
        healthy_after: times(written.healthy_after, Written::DEFAULT_HEALTHY_AFTER),
    }
}

fn limits(written: Option<&proxy::ServiceLimits>, default: BackendLimits) -> BackendLimits {
    let Some(written) = written else {
        return default;
    };
    BackendLimits {
        connections: written.connections.unwrap_or(default.connections),
        pending: written.pending.unwrap_or(default.pending),
        requests: written.requests.unwrap_or(default.requests),
    }
}

fn retry(written: Option<&proxy::Retry>, default: Retry) -> Retry {
    let Some(written) = written else {
        return default;
    };
    let body = written.max_body_bytes.map(|bytes| bytes as usize);
    Retry {
        attempts: written.attempts.unwrap_or(default.attempts),
        budget: written.budget.unwrap_or(default.budget),
        min_per_second: written.min_per_second.unwrap_or(default.min_per_second),
        statuses: written.statuses.clone(),
        attempt_timeout: written.attempt_timeout.map(Duration::from),
        max_body_bytes: body.unwrap_or(default.max_body_bytes),
    }
}
