//! Where requests and operators come in, and what holds for all of them.

use super::{Fault, Folder, path};
use crds::{
    FieldPath, GoDuration,
    proxy::{
        self, AccessLog, Admin, ForwardedHeaders, LogTemplate, LogWord, Pool, ProxySpec,
        TlsVersion, Tracing,
    },
};
use http::HeaderName;
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// Where requests and operators come in, and what holds for all of them. A change of it takes effect when the process
/// starts anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Where requests come in; at least one.
    pub listeners: Vec<Listener>,
    /// Where operators come in.
    pub admin: SocketAddr,
    /// The file that holds the token they must bring.
    pub token_file: Option<PathBuf>,
    /// Where state is kept; none where the document leaves it to the process.
    pub state_file: Option<PathBuf>,
    /// How many workers there are; none for one each core.
    pub workers: Option<NonZeroUsize>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How many connections to endpoints are kept: numbers in their ranges, as written.
    pub pool: Pool,
    /// What clients may ask: numbers in their ranges, as written.
    pub limits: proxy::Limits,
    /// Whom the proxy believes, and what it tells endpoints.
    pub forwarding: Forwarding,
    /// Where requests are written down; none writes nothing.
    pub access_log: Option<Log>,
    /// Where traces go; none makes none.
    pub tracing: Option<Traces>,
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, which routes know it by.
    pub name: Arc<str>,
    /// The address; port 0 picks a free one.
    pub address: SocketAddr,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// Peers that begin connections with a PROXY protocol header.
    pub proxy_protocol: Vec<Network>,
    /// How it speaks TLS; none speaks plain text.
    pub tls: Option<ListenerTls>,
}

/// How a listener speaks TLS. Paths of files are whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates; at least one.
    pub certificates: Vec<Certificate>,
    /// The authorities of clients' certificates, and whether each client must show one.
    pub client: Option<(PathBuf, bool)>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain.
    pub chain_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
    /// The OCSP answer that is stapled.
    pub ocsp_file: Option<PathBuf>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address, or one in it.
    pub address: IpAddr,
    /// How many leading bits are the network's: up to 32, or 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address, which is a network of its own.
    pub fn parse(written: &str) -> Option<Self> {
        let (address, prefix) = match written.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (written, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            Some(prefix) => Some(prefix).filter(is_number)?.parse().ok()?,
            None => most,
        };
        (prefix <= most).then_some(Self { address, prefix })
    }
}

/// Whom the proxy believes, and what it tells endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// Peers that are believed what they say of clients.
    pub trusted: Vec<Network>,
    /// Proxies before this one that are trusted whatever their address is.
    pub trusted_hops: usize,
    /// Which headers tell an endpoint of the client.
    pub headers: ForwardedHeaders,
    /// The proxy's name in `Via`; none leaves `Via` alone.
    pub via: Option<Box<str>>,
    /// The header of a request's id; none makes no id.
    pub request_id: Option<HeaderName>,
}

/// Where requests are written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// The file; none is standard output.
    pub file: Option<PathBuf>,
    /// The template of a line; none writes JSON.
    pub template: Option<Box<str>>,
    /// The share of requests, 0 to 1.
    pub sample: f64,
    /// Lines that may wait, for each worker.
    pub buffer: usize,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The OTLP/HTTP endpoint.
    pub endpoint: Box<str>,
    /// The share of traces, 0 to 1.
    pub sample: f64,
    /// The name of the service in them.
    pub service_name: Box<str>,
    /// Spans that may wait.
    pub buffer: usize,
}

/// How long things may take; none where the document leaves it to the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection to an endpoint stands.
    pub connect: Option<Duration>,
    /// From the request until the response's head.
    pub response_header: Option<Duration>,
    /// Without a byte while a request is under way.
    pub idle: Option<Duration>,
    /// Of a client's connection between two requests.
    pub keep_alive: Option<Duration>,
    /// Until a request's head is complete.
    pub request_header: Option<Duration>,
    /// For requests under way when the process ends.
    pub drain: Option<Duration>,
}

impl Edge {
    /// The fields of the document in which `newer` differs.
    pub fn changed(&self, newer: &Self) -> Vec<&'static str> {
        let Self {
            listeners,
            admin,
            token_file,
            state_file,
            workers,
            timeouts,
            pool,
            limits,
            forwarding,
            access_log,
            tracing,
        } = newer;
        [
            (self.listeners == *listeners, "listeners"),
            (
                (self.admin, &self.token_file) == (*admin, token_file),
                "admin",
            ),
            (self.state_file == *state_file, "stateFile"),
            (self.workers == *workers, "workers"),
            (self.timeouts == *timeouts, "timeouts"),
            (self.pool == *pool, "pool"),
            (self.limits == *limits, "limits"),
            (self.forwarding == *forwarding, "forwarding"),
            (self.access_log == *access_log, "accessLog"),
            (self.tracing == *tracing, "tracing"),
        ]
        .into_iter()
        .filter(|(is_same, _)| !is_same)
        .map(|(_, field)| field)
        .collect()
    }

    pub(super) fn read(
        spec: &ProxySpec,
        folder: &Folder<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let listeners = spec.listeners.iter().enumerate();
        let listeners = listeners
            .filter_map(|(i, written)| {
                listener(written, &path("spec.listeners").index(i), folder, faults)
            })
            .collect();
        let admin = spec.admin.clone().unwrap_or_default();
        let written = admin.address.as_deref().unwrap_or(Admin::DEFAULT_ADDRESS);
        let admin_address = address(written, path("spec.admin.address"), faults)?;
        Some(Self {
            listeners,
            admin: admin_address,
            token_file: admin.token_file.map(PathBuf::from),
            state_file: spec.state_file.as_ref().map(PathBuf::from),
            workers: spec.workers.and_then(|n| NonZeroUsize::new(n as usize)),
            timeouts: spec.timeouts.as_ref().map(timeouts).unwrap_or_default(),
            pool: spec.pool.clone().unwrap_or_default(),
            limits: spec.limits.clone().unwrap_or_default(),
            forwarding: forwarding(&spec.forwarding.clone().unwrap_or_default(), faults),
            access_log: spec.access_log.as_ref().map(|log| access_log(log, folder)),
            tracing: spec.tracing.as_ref().map(traces),
        })
    }
}

fn listener(
    written: &proxy::Listener,
    at: &FieldPath,
    folder: &Folder<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Listener> {
    let trusted = written.proxy_protocol.as_ref();
    let trusted = trusted.map_or(&[][..], |peers| &peers.trusted);
    Some(Listener {
        name: written.name.as_str().into(),
        address: address(&written.address, at.key("address"), faults)?,
        http2: written.http2.unwrap_or(true),
        proxy_protocol: networks(trusted, &at.key("proxyProtocol").key("trusted"), faults),
        tls: written.tls.as_ref().map(|tls| listener_tls(tls, folder)),
    })
}

fn listener_tls(written: &proxy::ListenerTls, folder: &Folder<'_>) -> ListenerTls {
    let certificate = |written: &proxy::Certificate| Certificate {
        chain_file: folder.join(&written.chain_file),
        key_file: folder.join(&written.key_file),
        ocsp_file: written.ocsp_file.as_ref().map(|file| folder.join(file)),
    };
    let client = written.client.as_ref();
    ListenerTls {
        certificates: written.certificates.iter().map(certificate).collect(),
        client: client.map(|client| {
            (
                folder.join(&client.ca_file),
                client.required.unwrap_or(true),
            )
        }),
        min_version: written.min_version.unwrap_or_default(),
    }
}

fn networks(written: &[String], at: &FieldPath, faults: &mut Vec<Fault>) -> Vec<Network> {
    let network = |(i, written): (usize, &String)| {
        let network = Network::parse(written);
        if network.is_none() {
            let allowed = "a network such as 10.0.0.0/8 or ::1/128";
            faults.push((at.index(i), format!("found {written:?}, allowed {allowed}")));
        }
        network
    };
    written.iter().enumerate().filter_map(network).collect()
}

fn forwarding(written: &proxy::Forwarding, faults: &mut Vec<Fault>) -> Forwarding {
    let at = path("spec.forwarding");
    let request_id = written.request_id.as_deref();
    Forwarding {
        trusted: networks(&written.trusted, &at.key("trusted"), faults),
        trusted_hops: written.trusted_hops.unwrap_or_default() as usize,
        headers: written.headers.unwrap_or_default(),
        via: written.via.as_deref().map(Box::from),
        request_id: request_id
            .and_then(|name| super::header_name(name, at.key("requestId"), faults)),
    }
}

fn access_log(written: &AccessLog, folder: &Folder<'_>) -> Log {
    let template = match &written.format {
        None | Some(crds::Choice::Word(LogWord::Json)) => None,
        Some(crds::Choice::Mapping(LogTemplate { template })) => Some(template.as_str().into()),
    };
    Log {
        file: written.file.as_ref().map(|file| folder.join(file)),
        template,
        sample: written.sample.unwrap_or(AccessLog::DEFAULT_SAMPLE),
        buffer: written.buffer.unwrap_or(AccessLog::DEFAULT_BUFFER) as usize,
    }
}

fn traces(written: &Tracing) -> Traces {
    let name = written.service_name.as_deref();
    Traces {
        endpoint: written.endpoint.as_str().into(),
        sample: written.sample.unwrap_or(Tracing::DEFAULT_SAMPLE),
        service_name: name.unwrap_or(Tracing::DEFAULT_SERVICE_NAME).into(),
        buffer: written.buffer.unwrap_or(Tracing::DEFAULT_BUFFER) as usize,
    }
}

fn timeouts(written: &proxy::Timeouts) -> Timeouts {
    let proxy::Timeouts {
        connect,
        response_header,
        idle,
        keep_alive,
        request_header,
        drain,
    } = written.clone();
    let duration = |written: Option<GoDuration>| written.map(Duration::from);
    Timeouts {
        connect: duration(connect),
        response_header: duration(response_header),
        idle: duration(idle),
        keep_alive: duration(keep_alive),
        request_header: duration(request_header),
        drain: duration(drain),
    }
}

pub(super) fn address(written: &str, at: FieldPath, faults: &mut Vec<Fault>) -> Option<SocketAddr> {
    let address = written.parse().ok();
    if address.is_none() {
        let allowed = "an address and a port, such as 127.0.0.1:8080 or [::1]:8080";
        faults.push((at, format!("found {written:?}, allowed {allowed}")));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_written() {
        for (written, expected) in [
            ("10.0.0.0/8", Some(8)),
            ("10.0.0.1", Some(32)),
            ("::1", Some(128)),
            ("fd00::/8", Some(8)),
            ("0.0.0.0/0", Some(0)),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("::/129", None),
            ("localhost", None),
        ] {
            let prefix = Network::parse(written).map(|network| network.prefix);
            assert_eq!(prefix, expected, "{written}");
        }
    }
}
