//! The guard's parameters, with their defaults.

use super::{Fault, failures::failure_rule, rollout::options_path};
use crds::sluice::{self, ClientErrorOptions, Guard, LatencyOptions, Switch};
use rollout::analysis::{
    ClientErrorConfig, Config, LatencyConfig, OnClientErrors, OnLowRate, OnUnhealthyBaseline,
    Parameters,
};
use std::time::Duration;

/// The parameters that `written` leaves of the defaults. Those of a guard that is off still pace evidence steps. Where not
/// only chance decides who gets which version, client errors are compared only if somebody asks for it.
pub(super) fn guard(written: &Guard, by_chance: bool, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut parameters = Parameters::default();
    if !by_chance {
        parameters.client_errors = None;
    }
    if let Switch::On(options) = written {
        let sluice::GuardOptions {
            alpha,
            beta,
            relative_margin,
            absolute_margin,
            harm_budget,
            harm_slack,
            horizon,
            min_canary_failures,
            baseline_unhealthy_above,
            max_failure_ratio,
            on_unhealthy_baseline,
            min_request_rate,
            on_low_request_rate,
            latency,
            client_errors,
            warm_up,
            burst_window,
            fast_path,
            dwell,
            stable_half_life,
            failures,
            trip: _,
        } = options.clone();
        set(&mut parameters.alpha, alpha);
        set(&mut parameters.beta, beta);
        set(&mut parameters.relative_margin, relative_margin);
        set(&mut parameters.absolute_margin, absolute_margin);
        set(&mut parameters.harm_budget, harm_budget);
        set(&mut parameters.harm_slack, harm_slack);
        set(&mut parameters.horizon, horizon.map(Duration::from));
        set(
            &mut parameters.min_canary_failures,
            min_canary_failures.map(u64::from),
        );
        set(
            &mut parameters.baseline_unhealthy_above,
            baseline_unhealthy_above,
        );
        parameters.max_failure_ratio = max_failure_ratio;
        parameters.on_unhealthy_baseline = match on_unhealthy_baseline.unwrap_or_default() {
            sluice::OnUnhealthyBaseline::Hold => OnUnhealthyBaseline::Hold,
            sluice::OnUnhealthyBaseline::RollForward => OnUnhealthyBaseline::RollForward,
        };
        parameters.min_request_rate = min_request_rate;
        parameters.on_low_request_rate = match on_low_request_rate.unwrap_or_default() {
            sluice::OnLowRequestRate::Hold => OnLowRate::Hold,
            sluice::OnLowRequestRate::RollBack => OnLowRate::RollBack,
        };
        set(&mut parameters.warm_up, warm_up.map(Duration::from));
        set(
            &mut parameters.burst_window,
            burst_window.map(Duration::from),
        );
        set(&mut parameters.fast_path, fast_path);
        set(&mut parameters.dwell, dwell.map(Duration::from));
        set(
            &mut parameters.stable_half_life,
            stable_half_life.map(Duration::from),
        );
        parameters.failure_rule = failure_rule(&failures.unwrap_or_default());
        if let Some(written) = latency {
            parameters.latency = latency_of(written, parameters.latency.take());
        }
        if let Some(written) = client_errors {
            parameters.client_errors = client_errors_of(written);
        }
    }
    match Config::new(parameters) {
        Ok(config) => Some(config),
        Err(refused) => {
            faults.push((options_path().key("guard"), refused.to_string()));
            None
        }
    }
}

/// Whether the proxy is to trip canaries by itself.
pub(crate) fn trips(written: &Guard) -> bool {
    match written {
        Switch::Off => false,
        Switch::On(options) => options.trip.unwrap_or(true),
    }
}

fn set<T>(parameter: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *parameter = written;
    }
}

fn latency_of(
    written: Switch<LatencyOptions>,
    default: Option<LatencyConfig>,
) -> Option<LatencyConfig> {
    let Switch::On(options) = written else {
        return None;
    };
    let mut latency = default?;
    set(&mut latency.increase, options.increase);
    set(
        &mut latency.negligible,
        options.negligible.map(Duration::from),
    );
    set(&mut latency.quantiles, options.quantiles);
    Some(latency)
}

fn client_errors_of(written: Switch<ClientErrorOptions>) -> Option<ClientErrorConfig> {
    let Switch::On(options) = written else {
        return None;
    };
    let mut config = ClientErrorConfig::default();
    set(&mut config.relative_margin, options.relative_margin);
    set(&mut config.absolute_margin, options.absolute_margin);
    config.then = match options.then.unwrap_or_default() {
        sluice::OnClientErrors::Hold => OnClientErrors::Hold,
        sluice::OnClientErrors::RollBack => OnClientErrors::RollBack,
    };
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{
        schema::{self, Node},
        sluice::{Evidence, GuardOptions, ProxyOptions},
    };
    use serde_json::{Value, json};

    /// A mapping with the documented default of every field of `schema`.
    fn defaults(schema: Node<'_>) -> Value {
        let mut value = json!({});
        for (name, field) in schema
            .alternatives()
            .iter()
            .flat_map(|schema| schema.fields())
        {
            if let Some(default) = field.word("default") {
                value[name] = default.clone();
            }
        }
        value
    }

    fn field<'s>(schema: &'s Node<'s>, name: &str) -> Node<'s> {
        let fields = schema.alternatives();
        let mut fields = fields.iter().flat_map(|schema| schema.fields());
        fields.find(|(field, _)| *field == name).unwrap().1
    }

    #[test]
    fn documented_defaults_are_the_real_ones() {
        let options = Node::root(schema::proxy_options());
        let guard_schema = field(&options, "guard");
        let mut written = defaults(guard_schema);
        written["latency"] = defaults(field(&guard_schema, "latency"));
        assert!(written["latency"]["quantiles"].is_array());
        written["clientErrors"] = defaults(field(&guard_schema, "clientErrors"));
        assert_eq!(written["clientErrors"]["then"], "hold");
        written["failures"] = defaults(field(&guard_schema, "failures"));
        assert!(written["failures"]["grpcCodes"].is_array());
        let written: GuardOptions = serde_json::from_value(written).unwrap();
        let of = |guard: &Guard| guard_of(guard);
        assert_eq!(of(&Switch::On(written)), of(&Guard::default()));
        let all: ProxyOptions = serde_json::from_value(defaults(options)).unwrap();
        assert_eq!(all, ProxyOptions::default());
    }

    fn guard_of(written: &Guard) -> String {
        let mut faults = Vec::new();
        let config = guard(written, true, &mut faults);
        assert_eq!(faults, []);
        format!("{config:#?}")
    }

    #[test]
    fn client_errors_are_compared_where_chance_decides_or_somebody_asks() {
        let check = |written: Value, by_chance: bool, wanted: Option<OnClientErrors>| {
            let options: GuardOptions = serde_json::from_value(written.clone()).unwrap();
            let config = guard(&Switch::On(options), by_chance, &mut Vec::new()).unwrap();
            let found = config.parameters().client_errors.map(|errors| errors.then);
            assert_eq!(found, wanted, "{written} {by_chance}");
        };
        let hold = Some(OnClientErrors::Hold);
        check(json!({}), true, hold);
        check(json!({}), false, None);
        check(json!({"clientErrors": "off"}), true, None);
        check(json!({"clientErrors": "on"}), false, hold);
        let roll_back = json!({"clientErrors": {"then": "rollBack"}});
        check(roll_back, true, Some(OnClientErrors::RollBack));
    }

    #[test]
    fn documented_defaults_of_evidence_are_the_real_ones() {
        let evidence: Evidence =
            serde_json::from_value(defaults(Node::root(schema::evidence()))).unwrap();
        let steps = |evidence: &Evidence| {
            let canary = serde_json::from_value(json!({"steps": [
                {"setWeight": 10},
                {"plugin": {"name": "sluice/evidence", "config": evidence}},
            ]}));
            let config = guard(&Guard::default(), true, &mut Vec::new()).unwrap();
            let mut faults = Vec::new();
            let steps = super::super::steps::steps(&canary.unwrap(), None, &config, &mut faults);
            assert_eq!(faults, []);
            format!("{:?}", steps.unwrap().get(1))
        };
        assert_eq!(steps(&evidence), steps(&Evidence::default()));
    }
}
