//! Where requests come in.

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::lenient;

/// Where requests come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Its name, unique in the proxy. Routes know it by that.
    pub name: String,
    /// Address and port, such as `127.0.0.1:8080`, `0.0.0.0:80` or `[::]:80`.
    pub address: String,
    /// Whether HTTP/2 is spoken: by ALPN over TLS, by prior knowledge in plain text.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub http2: Option<bool>,
    /// Peers that begin each connection with a PROXY protocol header, version 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<TrustedPeers>,
    /// The certificates that it shows; absent means plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

/// Peers that begin each connection with a PROXY protocol header, which is believed and demanded of
/// them. Others are served as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedPeers {
    /// Their networks, such as `10.0.0.0/8`, or addresses.
    #[schemars(length(min = 1))]
    pub trusted: Vec<String>,
}

/// How a listener speaks TLS. Its files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTls {
    /// The oldest version of TLS that is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1.2"))]
    pub min_version: Option<TlsVersion>,
    /// The certificates. A client gets the one for the name it asks for, else the first.
    #[schemars(length(min = 1))]
    pub certificates: Vec<Certificate>,
    /// What is demanded of clients; absent asks for no certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientCertificates>,
}

/// A certificate and its key. The names that it is for are read from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The PEM file of the chain, the server's own certificate first.
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub chain_file: String,
    /// The PEM file of the private key.
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub key_file: String,
    /// The DER file of an OCSP answer that is stapled to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub ocsp_file: Option<String>,
}

/// What is demanded of clients' certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificates {
    /// The PEM file of the authorities that sign them.
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub ca_file: String,
    /// Whether a client without one is refused.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub required: Option<bool>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V1_3,
}

impl<'de> Deserialize<'de> for TlsVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Version)
    }
}

/// A version of TLS, also where YAML takes it for a number.
struct Version;

impl Visitor<'_> for Version {
    type Value = TlsVersion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1.2, 1.3")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TlsVersion, E> {
        match text {
            "1.2" => Ok(TlsVersion::V1_2),
            "1.3" => Ok(TlsVersion::V1_3),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<TlsVersion, E> {
        let wrong = |_: E| E::invalid_value(Unexpected::Float(number), &Self);
        self.visit_str(&number.to_string()).map_err(wrong)
    }
}
