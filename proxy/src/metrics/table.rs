//! Which route table is published, and which one each worker serves.

use super::encode::{About, gauge};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{fmt, sync::Arc};
use traffic::Routes;

/// Shows the generations of the route table.
#[derive(Debug)]
pub(super) struct Generations {
    routes: Arc<Routes>,
}

impl Generations {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self { routes }
    }
}

impl Collector for Generations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // What is served is read before what is published, so that no worker seems ahead.
        let served = self.routes.served();
        let published = self.routes.published();
        let mut family = encoder.encode_descriptor(
            "sluice_table_generation",
            "Generation of the route table that a worker serves; absent for a worker that has stopped",
            None,
            MetricType::Gauge,
        )?;
        for (worker, generation) in served.iter().enumerate() {
            let Some(generation) = generation else {
                continue;
            };
            family
                .encode_family(&[("worker", worker)])?
                .encode_gauge(&generation.number())?;
        }
        let about = About {
            name: "sluice_table_published_generation",
            unit: None,
            help: "Generation of the route table that was published last; 0 before the first",
        };
        gauge(&mut encoder, &about, &published.number())
    }
}
