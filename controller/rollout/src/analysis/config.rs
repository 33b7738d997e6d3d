//! What the guard is asked to do: the parameters, their defaults and their ranges.

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::{Deserialize, Serialize};
use std::{fmt::Display, time::Duration};
use traffic::FailureRule;

/// The guard's parameters as a person writes them. Whatever is left out has its default.
///
/// Durations are written as `90s` or `15m`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// The chance of ever rolling back a canary that is no worse than the margins allow. Above 0, up to 0.5.
    pub alpha: f64,
    /// The chance of ever advancing a canary that breaks the harm budget. Above 0, up to 0.5.
    pub beta: f64,
    /// The canary's failure ratio may be this many times the stable's. From 1 (not worse at all) to 10.
    pub relative_margin: f64,
    /// And this much above that, as a share of requests. From 0 to 0.5.
    pub absolute_margin: f64,
    /// The share of all traffic that the canary may make fail. Above 0, up to 0.5.
    pub harm_budget: f64,
    /// What the harm budget is widened by, as a share of the stable's own failure ratio. From 0 to 1.
    pub harm_slack: f64,
    /// The time in which regressions are expected to begin; later ones are found too, a little more slowly.
    /// From 1 s to 30 days.
    #[serde(with = "friendly")]
    pub horizon: Duration,
    /// How many canary requests must have failed (or have been slow) before it may be rolled back. From 1 to 1000.
    pub min_canary_failures: u64,
    /// Evidence from within one such window counts for at most half of what a rollback needs, so that a hiccup of
    /// one endpoint does not convict a version. From 100 ms to 1 min.
    #[serde(with = "friendly")]
    pub burst_window: Duration,
    /// The limit of [`Parameters::burst_window`] is off while at least this share of the step's canary requests
    /// failed: such a version never worked. Above 0, up to 1. The default lies below a half, about which the share of a
    /// canary that fails every other request comes and goes.
    pub fast_path: f64,
    /// A stable whose failure ratio is shown to be above this is unhealthy: nothing is promoted. From 0.0001 to 0.99.
    pub baseline_unhealthy_above: f64,
    /// A canary whose failure ratio is shown to be above this is rolled back whatever the margins allow, if the stable is
    /// shown to be well; otherwise the rollout holds. Nothing for no limit. From 0.0001 to 0.99.
    pub max_failure_ratio: Option<f64>,
    /// What becomes of a rollout whose stable is unhealthy.
    pub on_unhealthy_baseline: OnUnhealthyBaseline,
    /// The least rate of requests, those of both versions together, in requests a second. Nothing for no limit. From
    /// 0.001 to a billion.
    pub min_request_rate: Option<f64>,
    /// What becomes of a rollout that is shown to get fewer.
    pub on_low_request_rate: OnLowRate,
    /// The latency tests, or nothing to leave latency out of the verdict.
    pub latency: Option<LatencyConfig>,
    /// The test of client errors, or nothing to take no notice of them.
    pub client_errors: Option<ClientErrorConfig>,
    /// Latency is not judged for this long after the canary's first request, as caches are cold. Up to 1 h.
    #[serde(with = "friendly")]
    pub warm_up: Duration,
    /// The least time on an evidence step. Up to 1 day.
    #[serde(with = "friendly")]
    pub dwell: Duration,
    /// The time in which what is known of the stable loses half of its say. From 1 s to 1 day.
    #[serde(with = "friendly")]
    pub stable_half_life: Duration,
    /// What counts as a failure. Counts that are judged have been read with it.
    #[serde(with = "crate::failure_rule")]
    pub failure_rule: FailureRule,
}

/// What becomes of a rollout whose stable is shown to be unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUnhealthyBaseline {
    /// Nothing is promoted.
    #[default]
    Hold,
    /// A canary that is shown to be healthy meanwhile goes on without waiting, as it is the cure.
    RollForward,
}

/// What becomes of a rollout that is shown to get too few requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnLowRate {
    /// Nothing is promoted while it does.
    #[default]
    Hold,
    /// The canary is rolled back: it is what loses the traffic.
    RollBack,
}

/// What counts as a canary that refuses more of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientErrorConfig {
    /// The canary's share of client errors may be this many times the stable's. From 1 to 10.
    pub relative_margin: f64,
    /// And this much above that, as a share of requests. From 0 to 0.5.
    pub absolute_margin: f64,
    /// What becomes of a canary that is shown to have more.
    pub then: OnClientErrors,
}

/// What becomes of a canary that is shown to answer more of its requests with client errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnClientErrors {
    /// It is not promoted.
    #[default]
    Hold,
    /// It is rolled back.
    RollBack,
}

/// What counts as a slower canary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyConfig {
    /// The canary may be slower by this share of the stable's latency. From 0.01 to 100.
    pub increase: f64,
    /// And a difference below this is never held against it, however large the share. Up to 1 min.
    #[serde(with = "friendly")]
    pub negligible: Duration,
    /// The quantiles that are compared, each by its own test. One to eight, each from 0.01 to 0.9999.
    pub quantiles: Vec<f64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            beta: 0.05,
            relative_margin: 1.1,
            absolute_margin: 0.001,
            harm_budget: 0.005,
            harm_slack: 0.1,
            horizon: Duration::from_secs(900),
            min_canary_failures: 3,
            burst_window: Duration::from_secs(1),
            fast_path: 0.4,
            baseline_unhealthy_above: 0.05,
            max_failure_ratio: None,
            on_unhealthy_baseline: OnUnhealthyBaseline::Hold,
            min_request_rate: None,
            on_low_request_rate: OnLowRate::Hold,
            latency: Some(LatencyConfig::default()),
            client_errors: Some(ClientErrorConfig::default()),
            warm_up: Duration::from_secs(5),
            dwell: Duration::from_secs(5),
            stable_half_life: Duration::from_secs(300),
            failure_rule: FailureRule::DEFAULT,
        }
    }
}

impl Default for ClientErrorConfig {
    fn default() -> Self {
        Self {
            relative_margin: 1.5,
            absolute_margin: 0.01,
            then: OnClientErrors::Hold,
        }
    }
}

impl Default for LatencyConfig {
    fn default() -> Self {
        Self {
            increase: 0.4,
            negligible: Duration::from_millis(5),
            quantiles: vec![0.5, 0.9, 0.99],
        }
    }
}

/// [`Parameters`] that are known to lie in their ranges.
///
/// ```
/// use rollout::analysis::{Config, Parameters};
/// let config = Config::new(Parameters { alpha: 0.001, ..Parameters::default() }).unwrap();
/// assert_eq!(config.errors_alpha(), 0.0005);
///
/// let refused = Config::new(Parameters { alpha: 2.0, ..Parameters::default() });
/// assert_eq!(
///     refused.unwrap_err().to_string(),
///     "alpha is 2, but must be above 0 and at most 0.5",
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters", into = "Parameters")]
pub struct Config(Parameters);

/// A parameter outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, but must be {allowed}")]
pub struct OutOfRange {
    /// The parameter's name.
    pub field: &'static str,
    /// The value that was given.
    pub found: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Config {
    /// `parameters`, when each lies in its range; otherwise the first that does not.
    pub fn new(parameters: Parameters) -> Result<Self, OutOfRange> {
        check_shares(&parameters)?;
        check_times(&parameters)?;
        if let Some(client_errors) = &parameters.client_errors {
            check_client_errors(client_errors)?;
        }
        if let Some(latency) = &parameters.latency {
            check_latency(latency)?;
        }
        Ok(Self(parameters))
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.0
    }

    /// The error test's part of alpha: half of it, or all of it without latency tests, in equal parts with the failure
    /// limit, the request rate and client errors where these may convict too.
    pub fn errors_alpha(&self) -> f64 {
        let failures = match &self.0.latency {
            Some(_) => self.0.alpha / 2.0,
            None => self.0.alpha,
        };
        let limits = self.0.max_failure_ratio.is_some();
        let rates =
            self.0.min_request_rate.is_some() && self.0.on_low_request_rate == OnLowRate::RollBack;
        let parts = 1 + u8::from(limits) + u8::from(rates) + u8::from(self.convicts_refusals());
        failures / f64::from(parts)
    }

    /// Whether client errors roll a canary back.
    pub(super) fn convicts_refusals(&self) -> bool {
        let then = self.0.client_errors.map(|errors| errors.then);
        then == Some(OnClientErrors::RollBack)
    }

    /// The chance of ever holding a canary that has no more client errors than allowed: alpha once more, as a hold
    /// convicts nobody. Where they convict, their part of alpha, as much as the error test has.
    pub fn client_errors_alpha(&self) -> f64 {
        if self.convicts_refusals() {
            self.errors_alpha()
        } else {
            self.0.alpha
        }
    }

    /// The failure limit's part of alpha, where there is one: as much as the error test has.
    pub fn limit_alpha(&self) -> f64 {
        self.errors_alpha()
    }

    /// The request rate's part of alpha, where it may convict: as much as the error test has.
    pub fn rate_alpha(&self) -> f64 {
        self.errors_alpha()
    }

    /// Each latency test's part of alpha. By the union bound, the parts of all tests sum to alpha.
    pub fn latency_alpha(&self) -> f64 {
        let quantiles = self.0.latency.as_ref().map_or(1, |l| l.quantiles.len());
        self.0.alpha / 2.0 / quantiles as f64
    }
}

impl TryFrom<Parameters> for Config {
    type Error = OutOfRange;

    fn try_from(parameters: Parameters) -> Result<Self, OutOfRange> {
        Self::new(parameters)
    }
}

impl From<Config> for Parameters {
    fn from(config: Config) -> Self {
        config.0
    }
}

fn check(
    ok: bool,
    field: &'static str,
    found: impl Display,
    allowed: &'static str,
) -> Result<(), OutOfRange> {
    if ok {
        return Ok(());
    }
    Err(OutOfRange {
        field,
        found: found.to_string(),
        allowed,
    })
}

/// NaN lies in no range, so every comparison here refuses it.
fn check_shares(p: &Parameters) -> Result<(), OutOfRange> {
    let chance = |x: f64| x > 0.0 && x <= 0.5;
    const CHANCE: &str = "above 0 and at most 0.5";
    check(chance(p.alpha), "alpha", p.alpha, CHANCE)?;
    check(chance(p.beta), "beta", p.beta, CHANCE)?;
    check(chance(p.harm_budget), "harm_budget", p.harm_budget, CHANCE)?;
    check(
        (1.0..=10.0).contains(&p.relative_margin),
        "relative_margin",
        p.relative_margin,
        "from 1 to 10",
    )?;
    check(
        (0.0..=0.5).contains(&p.absolute_margin),
        "absolute_margin",
        p.absolute_margin,
        "from 0 to 0.5",
    )?;
    check(
        (0.0..=1.0).contains(&p.harm_slack),
        "harm_slack",
        p.harm_slack,
        "from 0 to 1",
    )?;
    check(
        p.fast_path > 0.0 && p.fast_path <= 1.0,
        "fast_path",
        p.fast_path,
        "above 0 and at most 1",
    )?;
    check(
        (0.0001..=0.99).contains(&p.baseline_unhealthy_above),
        "baseline_unhealthy_above",
        p.baseline_unhealthy_above,
        "from 0.0001 to 0.99",
    )?;
    if let Some(limit) = p.max_failure_ratio {
        check(
            (0.0001..=0.99).contains(&limit),
            "max_failure_ratio",
            limit,
            "from 0.0001 to 0.99",
        )?;
    }
    if let Some(least) = p.min_request_rate {
        check(
            (0.001..=1e9).contains(&least),
            "min_request_rate",
            least,
            "from 0.001 to 1000000000",
        )?;
    }
    check(
        (1..=1000).contains(&p.min_canary_failures),
        "min_canary_failures",
        p.min_canary_failures,
        "from 1 to 1000",
    )
}

fn check_client_errors(errors: &ClientErrorConfig) -> Result<(), OutOfRange> {
    check(
        (1.0..=10.0).contains(&errors.relative_margin),
        "client_errors.relative_margin",
        errors.relative_margin,
        "from 1 to 10",
    )?;
    check(
        (0.0..=0.5).contains(&errors.absolute_margin),
        "client_errors.absolute_margin",
        errors.absolute_margin,
        "from 0 to 0.5",
    )
}

fn check_times(p: &Parameters) -> Result<(), OutOfRange> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let within = |field, found: Duration, low: Duration, high: Duration, allowed| {
        let text = format!(
            "{:#}",
            jiff::SignedDuration::try_from(found).unwrap_or_default()
        );
        check((low..=high).contains(&found), field, text, allowed)
    };
    let second = Duration::from_secs(1);
    within("horizon", p.horizon, second, 30 * DAY, "from 1s to 30 days")?;
    within(
        "burst_window",
        p.burst_window,
        Duration::from_millis(100),
        60 * second,
        "from 100ms to 1m",
    )?;
    within(
        "warm_up",
        p.warm_up,
        Duration::ZERO,
        3600 * second,
        "at most 1h",
    )?;
    within("dwell", p.dwell, Duration::ZERO, DAY, "at most 24h")?;
    within(
        "stable_half_life",
        p.stable_half_life,
        second,
        DAY,
        "from 1s to 24h",
    )
}

fn check_latency(latency: &LatencyConfig) -> Result<(), OutOfRange> {
    check(
        (0.01..=100.0).contains(&latency.increase),
        "latency.increase",
        latency.increase,
        "from 0.01 to 100",
    )?;
    check(
        latency.negligible <= Duration::from_secs(60),
        "latency.negligible",
        format!("{:?}", latency.negligible),
        "at most 1m",
    )?;
    let quantiles = &latency.quantiles;
    check(
        (1..=8).contains(&quantiles.len()) && quantiles.iter().all(|q| (0.01..=0.9999).contains(q)),
        "latency.quantiles",
        format!("{quantiles:?}"),
        "one to eight numbers, each from 0.01 to 0.9999",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic::GrpcCode;

    #[test]
    fn the_parts_of_alpha_sum_to_alpha() {
        let config = Config::default();
        let total = config.errors_alpha() + 3.0 * config.latency_alpha();
        assert!((total - 0.01).abs() < 1e-15);
        let errors_only = Config::new(Parameters {
            latency: None,
            ..Parameters::default()
        });
        assert_eq!(errors_only.unwrap().errors_alpha(), 0.01);
        let limited = Config::new(Parameters {
            max_failure_ratio: Some(0.05),
            ..Parameters::default()
        })
        .unwrap();
        let total = limited.errors_alpha() + limited.limit_alpha() + 3.0 * limited.latency_alpha();
        assert!((total - 0.01).abs() < 1e-15);
        let rated = Config::new(Parameters {
            min_request_rate: Some(20.0),
            on_low_request_rate: OnLowRate::RollBack,
            ..limited.0
        })
        .unwrap();
        let failures = rated.errors_alpha() + rated.limit_alpha() + rated.rate_alpha();
        let total = failures + 3.0 * rated.latency_alpha();
        assert!((total - 0.01).abs() < 1e-15);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let check = |json: &str, wanted: &str| {
            let error = serde_json::from_str::<Config>(json).unwrap_err();
            assert!(error.to_string().contains(wanted), "{json}: {error}");
        };
        check(r#"{"alpha": 0}"#, "alpha is 0, but must be above 0");
        check(r#"{"beta": 0.6}"#, "beta is 0.6");
        check(r#"{"relative_margin": 0.9}"#, "relative_margin is 0.9");
        check(r#"{"absolute_margin": -0.1}"#, "absolute_margin is -0.1");
        check(r#"{"harm_budget": 0}"#, "harm_budget is 0");
        check(r#"{"harm_slack": 2}"#, "harm_slack is 2");
        check(r#"{"horizon": "500ms"}"#, "horizon is 500ms");
        check(r#"{"min_canary_failures": 0}"#, "from 1 to 1000");
        check(r#"{"burst_window": "1h"}"#, "burst_window is 1h");
        check(r#"{"fast_path": 1.5}"#, "fast_path is 1.5");
        check(r#"{"baseline_unhealthy_above": 1}"#, "from 0.0001 to 0.99");
        check(
            r#"{"max_failure_ratio": 0}"#,
            "max_failure_ratio is 0, but must be from 0.0001 to 0.99",
        );
        check(
            r#"{"min_request_rate": 0}"#,
            "min_request_rate is 0, but must be from 0.001",
        );
        check(r#"{"latency": {"increase": 0}}"#, "latency.increase is 0");
        check(
            r#"{"latency": {"quantiles": []}}"#,
            "latency.quantiles is []",
        );
        check(r#"{"latency": {"quantiles": [1.0]}}"#, "latency.quantiles");
        check(r#"{"latency": {"negligible": "2m"}}"#, "latency.negligible");
        check(r#"{"warm_up": "2h"}"#, "warm_up is 2h");
        check(r#"{"dwell": "25h"}"#, "dwell is 25h");
        check(r#"{"stable_half_life": "0s"}"#, "stable_half_life is 0s");
        check(
            r#"{"failure_rule": {"statuses": [], "grpc_codes": [17]}}"#,
            "found 17, allowed a gRPC code from 0 to 16",
        );
        check(r#"{"aplha": 0.1}"#, "unknown field `aplha`");
    }

    #[test]
    fn nan_is_refused() {
        let refused = Config::new(Parameters {
            alpha: f64::NAN,
            ..Parameters::default()
        });
        assert_eq!(refused.unwrap_err().field, "alpha");
    }

    #[test]
    fn a_config_round_trips() {
        let config = Config::default();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), config);
        let failure_rule = FailureRule::BROKEN
            .with_statuses(400, 499)
            .with_statuses(500, 999)
            .with_code(GrpcCode::NotFound);
        let config = Config::new(Parameters {
            failure_rule,
            ..Parameters::default()
        })
        .unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }
}
