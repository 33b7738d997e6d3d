//! When certificates expire, and whether new ones are taken up.

use super::encode::count;
use crate::Tls;
use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, metrics::MetricType, registry::Unit,
};
use std::{fmt, sync::Arc};

/// Shows the certificates of listeners.
#[derive(Debug)]
pub(super) struct Certificates {
    tls: Arc<Tls>,
}

impl Certificates {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        Self { tls }
    }

    fn expiries(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "sluice_certificate_expiry",
            "When a certificate that a listener shows expires, in seconds since 1970",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for expiry in self.tls.expiries() {
            let labels = [("listener", &*expiry.listener), ("name", &*expiry.name)];
            // Whole seconds are exact in a double, as certificates have them.
            family
                .encode_family(&labels)?
                .encode_gauge(&expiry.not_after.as_secs_f64())?;
        }
        Ok(())
    }
}

impl Collector for Certificates {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.expiries(&mut encoder)?;
        let mut family = encoder.encode_descriptor(
            "sluice_certificate_reloads",
            "Times that files of certificates, keys or authorities had changed, by what came of it",
            None,
            MetricType::Counter,
        )?;
        let results = [
            ("success", self.tls.reloads()),
            ("failure", self.tls.failures()),
        ];
        for (result, times) in results {
            count(&mut family.encode_family(&[("result", result)])?, &times)?;
        }
        Ok(())
    }
}
