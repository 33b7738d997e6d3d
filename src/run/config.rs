//! The proxy's settings, from what the documents ask for.

use controller::spec::{self, Edge};
use crds::{
    GoDuration,
    proxy::{ForwardedHeaders, Http2Limits, TlsVersion},
};
use std::{num::NonZeroUsize, time::Duration};

/// The settings of a proxy with `workers` workers for `edge`. What a document leaves out has the proxy's own default.
pub(crate) fn config(edge: &Edge, workers: NonZeroUsize) -> proxy::Config {
    let mut config = proxy::Config::new(Vec::new(), workers);
    config.listeners = edge.listeners.iter().map(listener).collect();
    timeouts(&mut config.timeouts, edge.timeouts);
    set(
        &mut config.pool.idle_per_endpoint,
        edge.pool.idle_per_endpoint.map(size),
    );
    set(&mut config.pool.idle_time, edge.pool.idle_time.map(time));
    limits(&mut config.limits, &edge.limits);
    config.forwarding = forwarding(&edge.forwarding);
    config.access_log = edge.access_log.as_ref().map(access_log);
    config.tracing = edge.tracing.as_ref().map(tracing);
    config
}

fn set<T>(setting: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *setting = written;
    }
}

fn time(written: GoDuration) -> Duration {
    written.into()
}

fn size(written: u32) -> usize {
    written as usize
}

fn listener(written: &spec::Listener) -> proxy::Listener {
    proxy::Listener {
        name: written.name.clone(),
        address: written.address,
        tls: written.tls.as_ref().map(listener_tls),
        http2: written.http2,
        proxy_protocol: networks(&written.proxy_protocol),
    }
}

fn listener_tls(written: &spec::ListenerTls) -> proxy::ListenerTls {
    let certificate = |written: &spec::Certificate| proxy::Certificate {
        chain_file: written.chain_file.clone(),
        key_file: written.key_file.clone(),
        ocsp_file: written.ocsp_file.clone(),
    };
    let client = written.client.clone();
    proxy::ListenerTls {
        certificates: written.certificates.iter().map(certificate).collect(),
        client: client.map(|(ca_file, is_required)| proxy::ClientCertificates {
            ca_file,
            is_required,
        }),
        min_version: match written.min_version {
            TlsVersion::V1_2 => proxy::TlsVersion::V1_2,
            TlsVersion::V1_3 => proxy::TlsVersion::V1_3,
        },
    }
}

fn networks(written: &[spec::Network]) -> Vec<proxy::Network> {
    let network = |written: &spec::Network| proxy::Network {
        address: written.address,
        prefix: written.prefix,
    };
    written.iter().map(network).collect()
}

fn timeouts(settings: &mut proxy::Timeouts, written: spec::Timeouts) {
    let spec::Timeouts {
        connect,
        response_header,
        idle,
        keep_alive,
        request_header,
        // The process's own, see `run`.
        drain: _,
    } = written;
    set(&mut settings.connect, connect);
    set(&mut settings.response_header, response_header);
    set(&mut settings.idle, idle);
    set(&mut settings.keep_alive, keep_alive);
    set(&mut settings.request_header, request_header);
}

fn limits(settings: &mut proxy::Limits, written: &crds::proxy::Limits) {
    let crds::proxy::Limits {
        connections,
        connections_per_client,
        head_bytes,
        headers,
        uri_bytes,
        body_bytes,
        body_rate,
        requests_per_connection,
        memory_bytes,
        http2,
    } = written.clone();
    set(&mut settings.connections, connections);
    set(&mut settings.connections_per_client, connections_per_client);
    set(&mut settings.head_bytes, head_bytes.map(size));
    set(&mut settings.headers, headers.map(size));
    set(&mut settings.uri_bytes, uri_bytes.map(size));
    settings.body_bytes = body_bytes.or(settings.body_bytes);
    set(&mut settings.body_rate, body_rate);
    settings.requests_per_connection = requests_per_connection.or(settings.requests_per_connection);
    settings.memory_bytes = memory_bytes.or(settings.memory_bytes);
    let Http2Limits {
        concurrent_streams,
        pending_resets,
        local_resets,
        control_frames,
        stream_window,
        connection_window,
    } = http2.unwrap_or_default();
    let http2 = &mut settings.http2;
    set(&mut http2.concurrent_streams, concurrent_streams);
    set(&mut http2.pending_resets, pending_resets.map(size));
    set(&mut http2.local_resets, local_resets.map(size));
    set(&mut http2.control_frames, control_frames);
    set(&mut http2.stream_window, stream_window);
    set(&mut http2.connection_window, connection_window);
}

fn forwarding(written: &spec::Forwarding) -> proxy::Forwarding {
    proxy::Forwarding {
        trusted: networks(&written.trusted),
        trusted_hops: written.trusted_hops,
        headers: match written.headers {
            ForwardedHeaders::XForwarded => proxy::ForwardedHeaders::XForwarded,
            ForwardedHeaders::Forwarded => proxy::ForwardedHeaders::Forwarded,
            ForwardedHeaders::Both => proxy::ForwardedHeaders::Both,
            ForwardedHeaders::Remove => proxy::ForwardedHeaders::Remove,
        },
        via: written.via.clone(),
        request_id: written.request_id.clone(),
    }
}

fn access_log(written: &spec::Log) -> proxy::AccessLog {
    let template = written.template.clone();
    proxy::AccessLog {
        file: written.file.clone(),
        format: template.map_or(proxy::LogFormat::Json, proxy::LogFormat::Template),
        sample: written.sample,
        buffer: written.buffer,
    }
}

fn tracing(written: &spec::Traces) -> proxy::Tracing {
    proxy::Tracing {
        endpoint: written.endpoint.clone(),
        sample: written.sample,
        service_name: written.service_name.clone(),
        buffer: written.buffer,
    }
}

#[cfg(test)]
mod tests;
