//! Prometheus text 0.0.4, which prometheus-client does not write.
//!
//! It is what every scraper and every person with `curl` can read, and what `promtool check metrics` checks. The
//! input is the protobuf form, whose model is this format's own: names are whole, and an info is a gauge.

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use std::fmt::{self, Write};

/// Writes `families`. Those without a metric are left out, since some readers refuse them.
pub(super) fn write(out: &mut impl Write, families: &[MetricFamily]) -> fmt::Result {
    for family in families.iter().filter(|family| !family.metric.is_empty()) {
        let name = &family.name;
        writeln!(out, "# HELP {name} {}", Escaped::help(&family.help))?;
        writeln!(out, "# TYPE {name} {}", type_name(family.r#type()))?;
        for metric in &family.metric {
            match &metric.histogram {
                Some(histogram) => write_histogram(out, name, &metric.label, histogram)?,
                None => line(out, name, &metric.label, None, value(metric))?,
            }
        }
    }
    Ok(())
}

const fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::Summary => "summary",
        MetricType::Untyped | MetricType::GaugeHistogram => "untyped",
    }
}

/// The value of a metric that has but one.
fn value(metric: &Metric) -> f64 {
    let counter = metric.counter.as_ref().map(|counter| counter.value);
    let gauge = metric.gauge.as_ref().map(|gauge| gauge.value);
    let untyped = metric.untyped.as_ref().map(|untyped| untyped.value);
    counter.or(gauge).or(untyped).unwrap_or(f64::NAN)
}

fn write_histogram(
    out: &mut impl Write,
    name: &str,
    labels: &[LabelPair],
    histogram: &Histogram,
) -> fmt::Result {
    let bucket = format!("{name}_bucket");
    for classic in &histogram.bucket {
        line(
            out,
            &bucket,
            labels,
            Some(classic.upper_bound),
            classic.cumulative_count as f64,
        )?;
    }
    line(
        out,
        &format!("{name}_sum"),
        labels,
        None,
        histogram.sample_sum,
    )?;
    line(
        out,
        &format!("{name}_count"),
        labels,
        None,
        histogram.sample_count as f64,
    )
}

/// One sample; `le` is the bound of a histogram's bucket.
fn line(
    out: &mut impl Write,
    name: &str,
    labels: &[LabelPair],
    le: Option<f64>,
    value: f64,
) -> fmt::Result {
    out.write_str(name)?;
    let mut before = '{';
    for label in labels {
        write!(
            out,
            "{before}{}=\"{}\"",
            label.name,
            Escaped::label(&label.value)
        )?;
        before = ',';
    }
    if let Some(le) = le {
        write!(out, "{before}le=\"{:#}\"", Number(le))?;
        before = ',';
    }
    if before == ',' {
        out.write_char('}')?;
    }
    writeln!(out, " {}", Number(value))
}

/// A number, with the format's own names for those that are not finite. The alternate form of a whole number is `1.0`,
/// as OpenMetrics has it for `le`: a series keeps its name in every format.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => out.write_str("+Inf"),
            f64::NEG_INFINITY => out.write_str("-Inf"),
            number if out.alternate() => write!(out, "{number:?}"),
            number => write!(out, "{number}"),
        }
    }
}

/// Text with backslashes and line ends escaped, and double quotes where they would end a label's value.
struct Escaped<'a> {
    text: &'a str,
    quote: bool,
}

impl<'a> Escaped<'a> {
    const fn help(text: &'a str) -> Self {
        Self { text, quote: false }
    }

    const fn label(text: &'a str) -> Self {
        Self { text, quote: true }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        let special = |c| matches!(c, '\\' | '\n') || (self.quote && c == '"');
        while let Some((before, found)) =
            rest.find(special).and_then(|at| rest.split_at_checked(at))
        {
            out.write_str(before)?;
            let mut found = found.chars();
            match found.next() {
                Some('\n') => out.write_str("\\n")?,
                Some(other) => write!(out, "\\{other}")?,
                None => {}
            }
            rest = found.as_str();
        }
        out.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{
        encoding::prometheus_protobuf::encode,
        metrics::{
            counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info,
        },
        registry::Registry,
    };
    use std::sync::atomic::AtomicU64;

    fn check(register: impl FnOnce(&mut Registry), expected: &str) {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        write(&mut text, &encode(&registry).unwrap()).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn counters_carry_their_whole_name() {
        let counter = Counter::<u64>::default();
        counter.inc_by(7);
        check(
            |registry| registry.register("shots", "Shots", counter),
            "# HELP shots_total Shots.\n# TYPE shots_total counter\nshots_total 7\n",
        );
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let family = Family::<[(&'static str, &'static str); 2], Gauge<f64, AtomicU64>>::default();
        family
            .get_or_create(&[("path", "C:\\dir"), ("said", "\"a\"\nb")])
            .set(-0.5);
        check(
            |registry| registry.register("odd", "One \\ \"two\"\nthree", family),
            "# HELP odd One \\\\ \"two\"\\nthree.\n# TYPE odd gauge\n\
             odd{path=\"C:\\\\dir\",said=\"\\\"a\\\"\\nb\"} -0.5\n",
        );
    }

    #[test]
    fn histograms_have_buckets_a_sum_and_a_count() {
        let histogram = Histogram::new([0.25, 1.0]);
        histogram.observe(0.25);
        histogram.observe(9.0);
        check(
            |registry| registry.register("wait", "Wait", histogram),
            "# HELP wait Wait.\n# TYPE wait histogram\n\
             wait_bucket{le=\"0.25\"} 1\nwait_bucket{le=\"1.0\"} 1\nwait_bucket{le=\"+Inf\"} 2\n\
             wait_sum 9.25\nwait_count 2\n",
        );
    }

    #[test]
    fn an_info_is_a_gauge_and_an_empty_family_is_left_out() {
        check(
            |registry| {
                registry.register("build", "Build", Info::new([("version", "1")]));
                registry.register(
                    "none",
                    "None",
                    Family::<[(&'static str, u8); 1], Counter>::default(),
                );
            },
            "# HELP build_info Build.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n",
        );
    }
}
