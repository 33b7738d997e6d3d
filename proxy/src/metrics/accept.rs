//! Which exposition format a scraper gets.

/// An exposition format, in the order in which they are preferred among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Delimited protobuf messages, the only format with native histograms.
    Protobuf,
}

impl Format {
    /// The format for the value of an `Accept` header (RFC 9110, section 12.5.1). A scraper that accepts nothing of
    /// what there is gets text, as with Prometheus' own client libraries: more use to a person than an error.
    pub(super) fn negotiate(accept: &str) -> Self {
        accept
            .split(',')
            .filter_map(Self::offered)
            .max()
            .map_or(Self::Text, |(_, format)| format)
    }

    /// What one media range of the header asks for, after its quality in thousandths. Nothing when there is no such
    /// format or it is refused.
    fn offered(range: &str) -> Option<(u16, Self)> {
        let mut parts = range
            .split(';')
            .map(|part| part.trim().to_ascii_lowercase());
        let media_type = parts.next()?;
        let parameters: Vec<String> = parts.collect();
        let parameter = |name: &str| {
            parameters.iter().find_map(|parameter| {
                let (key, value) = parameter.split_once('=')?;
                (key.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        };
        let is = |name, value| parameter(name) == Some(value);
        let version = |value| parameter("version").is_none_or(|version| version == value);
        let format = match media_type.as_str() {
            "application/vnd.google.protobuf"
                if is("proto", "io.prometheus.client.metricfamily")
                    && is("encoding", "delimited") =>
            {
                Self::Protobuf
            }
            "application/openmetrics-text" if version("1.0.0") => Self::OpenMetrics,
            "text/plain" if version("0.0.4") => Self::Text,
            "text/*" | "*/*" => Self::Text,
            _ => return None,
        };
        let quality = match parameter("q") {
            None => 1000,
            Some(q) => (q.parse::<f32>().ok()?.min(1.0) * 1000.0) as u16,
        };
        (quality > 0).then_some((quality, format))
    }

    /// The content type of a response in this format.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_gets_the_best_of_what_it_accepts() {
        const PROTOBUF: &str =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily";
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/json", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            // An older version that is not spoken here.
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=nonsense", Format::Text),
            (
                "application/openmetrics-text;q=0.5,text/plain;q=0.6",
                Format::Text,
            ),
            // Prometheus 2.42, with native histograms off and on.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                &format!(
                    "{PROTOBUF};encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,\
                     application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
                ),
                Format::Protobuf,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            (&format!("{PROTOBUF};encoding=text"), Format::Text),
            ("application/vnd.google.protobuf", Format::Text),
        ] {
            assert_eq!(Format::negotiate(accept), expected, "{accept}");
        }
    }
}
