//! How far the outcomes of one endpoint's requests agree, and how much less they tell for that.
//!
//! The tests take every request's outcome for a coin of its own. One endpoint's are not: when it has a hiccup, all of
//! its requests fail, and fifty of them say as much as one. What agrees between endpoints hits both versions and
//! fools nobody, so that only what is an endpoint's own is measured, on the stable, which is known for long.
//!
//! In a window, let endpoint `j` have `n_j` requests of which `e_j` fail, all together `N` and `E`. Pearson's X² compares
//! `Q = sum of (e_j - n_j E/N)^2`, how far the endpoints are apart, with what chance makes of it; `U = E (N - E)` tells
//! how large a failure ratio `p` there is. Where two requests of one endpoint correlate by `r`, and those of two
//! endpoints do not, then with `S = sum of n_j^2`
//!
//! ```text
//! E[Q] = p (1-p) (A + r K)    A = N - S/N      K = sum of n_j (n_j - 1) (1 - 2 n_j/N + S/N^2)
//! E[U] = p (1-p) (B - r C)    B = N (N - 1)    C = S - N
//! ```
//!
//! so that `r` is the ratio of the sums over all windows of `Q B - U A` and `Q C + U K`, each divided by `B`: whatever the
//! failure ratio does from window to window, and however unequal the endpoints' traffic is. Windows without failures say
//! nothing, and those with many say most. With `n` requests each, X² is `1 + (n - 1) r` times what chance makes of it.
//!
//! `n` outcomes that agree so much have the variance of independent ones times `1 + (n - 1) r` (the design effect: L.
//! Kish, "Survey Sampling", 1965). So a block's counts are divided by that before they are judged (J. N. K. Rao and A. J.
//! Scott, "A simple method for the analysis of clustered binary data", 1992), each side's by its own, as an endpoint of
//! the stable has more requests in a window than one of the canary. Where all outcomes of a window are one, that is one
//! outcome for each endpoint and window, and the evidence an e-variable by Hölder's inequality; otherwise it is a good
//! measure, and no proof.
//!
//! **Slow answers** agree as failures do: an endpoint that collects its garbage for half a second is slow for all of
//! its requests. So the same is measured of them, for each quantile by itself, as what is slow differs. Endpoints count
//! how long requests took by half octaves, which is what the bound is rounded up to: at the usual `increase` of 40 % it
//! is then between what is slow of the stable and what is slow of the canary. Here requests count when they end, each
//! with its latency.
//!
//! The window is that of the burst cap, [`burst_window`](super::Parameters::burst_window): both say what counts as a
//! hiccup. What lasts longer is no hiccup but a failure, and counts again in each window. Where an interval is as long as
//! several windows, two requests of one endpoint are in the same window that many times less often, and `r` appears that
//! many times smaller than it is: so the excess is taken for as many times larger. Of what lasts longer than a window that
//! makes too much, which errs on the safe side.

use super::{
    block::Dispersion,
    blocks::Tally,
    config::Parameters,
    distribution::Distribution,
    interval::{Grown, Interval},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};
use traffic::{Bucket, HalfOctave};

/// The time in which what was seen loses half of its say, in seconds: hiccups are rare, so it has to be long.
const HALF_LIFE: f64 = 3600.0;
/// So large a share of requests is always thought to fail each by itself. Below that, agreement matters little, and old
/// hiccups would be remembered until there are new failures.
const INDEPENDENT_RATIO: f64 = 1e-3;
/// Windows cut hiccups in two, which hides a third of the agreement of those that are as long as a window.
const CUT: f64 = 1.5;
/// A stable with one endpoint is compared with itself, so many windows together.
const WINDOWS: usize = 10;
/// Clocks of different resolutions meet here: a window may close so much early, in seconds.
const SLACK: f64 = 1e-3;

/// The stable's endpoints, as far as they agree with themselves. Made of earlier ticks only when a tick is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agreement {
    /// The window under way.
    seconds: f64,
    all: Tally,
    endpoints: BTreeMap<SocketAddr, Tally>,
    /// The latest windows of a stable with one endpoint.
    alone: Vec<Tally>,
    sums: Sums,
}

/// Sums over windows, faded by their age, in the terms of the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    /// `(Q B - U A) / B`: by how much the endpoints are farther apart than by chance.
    excess: f64,
    /// `(Q C + U K) / B`: what that would be if all outcomes of an endpoint were one.
    most: f64,
    /// The same without `p (1-p)`.
    weight: f64,
    /// The variance of `excess` if outcomes are independent.
    noise: f64,
}

impl Agreement {
    /// Adds what the stable failed in `interval`.
    pub(super) fn learn(&mut self, interval: &Interval<'_>, parameters: &Parameters) {
        let stable = interval.stable();
        let all = Tally {
            requests: stable.requests(),
            bad: stable.failures(),
        };
        self.add(interval.seconds(), all, stable.endpoints(), parameters);
    }

    /// Adds what all endpoints and each of them had in so many `seconds`.
    fn add(
        &mut self,
        seconds: f64,
        all: Tally,
        endpoints: impl Iterator<Item = (SocketAddr, u64, u64)>,
        parameters: &Parameters,
    ) {
        self.all.add(all.requests, all.bad);
        for (address, requests, bad) in endpoints {
            if requests > 0 || bad > 0 {
                self.endpoints
                    .entry(address)
                    .or_default()
                    .add(requests, bad);
            }
        }
        self.seconds += seconds;
        let windows = (self.seconds + SLACK) / parameters.burst_window.as_secs_f64();
        if windows >= 1.0 {
            self.close(windows.floor());
        }
    }

    /// Whether the next counts begin a window.
    fn is_between_windows(&self) -> bool {
        self.seconds == 0.0
    }

    /// Ends the window under way, which is as long as so many.
    fn close(&mut self, windows: f64) {
        self.sums
            .fade((-std::mem::take(&mut self.seconds) / HALF_LIFE).exp2());
        let all = std::mem::take(&mut self.all);
        let endpoints = std::mem::take(&mut self.endpoints);
        if endpoints.len() > 1 {
            self.alone.clear();
            self.sums.add(endpoints.values().copied(), windows);
            return;
        }
        // There is no other endpoint to compare with, but there are other moments.
        self.alone.push(all);
        if self.alone.len() >= WINDOWS {
            self.sums.add(self.alone.iter().copied(), windows);
            self.alone.clear();
        }
    }

    /// How much the outcomes of one endpoint's requests in one window agree: from 0, where each is by itself, to 1,
    /// where all are one. Not counting what chance would bring one standard deviation far.
    pub fn degree(&self) -> f64 {
        let Sums {
            excess,
            most,
            weight,
            noise,
        } = self.sums;
        let most = most + INDEPENDENT_RATIO * weight;
        if most <= 0.0 {
            return 0.0;
        }
        ((excess - noise.sqrt()) / most).clamp(0.0, 1.0)
    }
}

impl Sums {
    fn fade(&mut self, kept: f64) {
        self.excess *= kept;
        self.most *= kept;
        self.weight *= kept;
        self.noise *= kept * kept;
    }

    /// Adds what several endpoints had in a time as long as so many windows.
    fn add(&mut self, endpoints: impl Iterator<Item = Tally> + Clone, windows: f64) {
        let counts = endpoints.filter_map(|Tally { requests, bad }| {
            // Failures come later than requests, so that there may be more of them.
            (requests > 0).then_some((requests as f64, bad.min(requests) as f64))
        });
        let (mut all, mut bad, mut squares) = (0.0, 0.0, 0.0);
        for (n, e) in counts.clone() {
            all += n;
            bad += e;
            squares += n * n;
        }
        let (a, b, c) = (all - squares / all, all * (all - 1.0), squares - all);
        // One request, or one endpoint, or no two requests at one.
        if !(a > 0.0 && b > 0.0 && c > 0.0) {
            return;
        }
        let (mut k, mut q) = (0.0, 0.0);
        for (n, e) in counts {
            k += n * (n - 1.0) * (1.0 - 2.0 * n / all + squares / (all * all));
            q += (e - n * bad / all).powi(2);
        }
        let good = all - bad;
        let u = bad * good;
        self.excess += windows * (q - u * a / b);
        self.most += (q * c + u * k) / b;
        self.weight += (a * c + b * k) / b;
        // Twice the square of p (1-p), and of what one endpoint has, for each degree of freedom; a failure that is alone
        // lies nowhere by chance.
        let ratio_squared = u * (bad - 1.0).max(0.0) * (good - 1.0).max(0.0) / all.powi(4);
        self.noise += windows * windows * 2.0 * ratio_squared * a * squares / all;
    }
}

/// How far the stable's endpoints agree with themselves in what is slow, quantile by quantile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Slowness(Vec<Slow>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slow {
    quantile: f64,
    /// The index of the bucket above which requests are slow in the window under way; nothing while no latency is
    /// known.
    bound: Option<usize>,
    agreement: Agreement,
}

impl Slowness {
    /// Adds what was slow of the stable in `interval`, whose `usual` latencies are those of before.
    pub(super) fn learn(
        &mut self,
        interval: &Interval<'_>,
        usual: &Distribution,
        parameters: &Parameters,
    ) {
        let quantiles = parameters.latency.as_ref().map(|l| &*l.quantiles);
        let quantiles = quantiles.unwrap_or_default();
        self.0.retain(|slow| quantiles.contains(&slow.quantile));
        // Told once, as it is a sum over all buckets.
        let mut total = None;
        for quantile in quantiles {
            let known = self.0.iter().position(|slow| slow.quantile == *quantile);
            let place = known.unwrap_or_else(|| {
                self.0.push(Slow::unknown(*quantile));
                self.0.len() - 1
            });
            let slow = &mut self.0[place];
            if slow.agreement.is_between_windows() {
                let total = *total.get_or_insert_with(|| usual.total());
                slow.bound = usual.quantile(*quantile, total).map(|(b, _)| b.index());
            }
            slow.learn(interval, parameters);
        }
    }

    /// How far the stable's endpoints agree in what is slow at `quantile`.
    pub(super) fn degree(&self, quantile: f64) -> f64 {
        let slow = self.0.iter().find(|slow| slow.quantile == quantile);
        slow.map_or(0.0, |slow| slow.agreement.degree())
    }
}

impl Slow {
    fn unknown(quantile: f64) -> Self {
        Self {
            quantile,
            bound: None,
            agreement: Agreement::default(),
        }
    }

    fn learn(&mut self, interval: &Interval<'_>, parameters: &Parameters) {
        let Some(bound) = self.bound.and_then(Bucket::at).map(HalfOctave::holding) else {
            return;
        };
        let stable = interval.stable();
        let mut all = Tally::default();
        for (bucket, requests) in stable.ended() {
            let is_slow = HalfOctave::holding(*bucket) > bound;
            all.add(*requests, if is_slow { *requests } else { 0 });
        }
        let endpoints = stable.endpoints_slower_than(bound);
        self.agreement
            .add(interval.seconds(), all, endpoints, parameters);
    }
}

/// What the counts of a canary's blocks are divided by, and what that follows from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Dispersal {
    canary: Spread,
    stable: Spread,
    /// How many requests of canary and stable one endpoint gets in a window.
    requests: (f64, f64),
    /// How far failures agreed before the block under way began.
    agreement: f64,
}

impl Dispersal {
    /// A block begins, with what is known by then.
    pub(super) fn begin_block(&mut self, agreement: &Agreement) {
        self.agreement = agreement.degree();
    }

    /// Takes the requests of an interval; `rps` of canary and stable with it. Numbers of requests tell nothing of
    /// outcomes, so those of the block itself may decide what it is divided by.
    pub(super) fn take(
        &mut self,
        interval: &Interval<'_>,
        (canary_rps, stable_rps): (f64, f64),
        parameters: &Parameters,
    ) {
        let kept = (-interval.seconds() / SPREAD_HALF_LIFE).exp2();
        self.canary.add(interval.canary(), kept);
        self.stable.add(interval.stable(), kept);
        let window = parameters.burst_window.as_secs_f64();
        self.requests = (
            canary_rps * window * self.canary.share(),
            stable_rps * window * self.stable.share(),
        );
    }

    /// What failures are judged with now.
    pub(super) fn dispersion(&self) -> Dispersion {
        self.of(self.agreement)
    }

    /// What outcomes are judged with now that agree by `agreement`.
    pub(super) fn of(&self, agreement: f64) -> Dispersion {
        let (canary, stable) = self.requests;
        Dispersion {
            canary: dispersion(agreement, canary),
            stable: dispersion(agreement, stable),
        }
    }
}

/// How a version's requests are spread over its endpoints: requests, faded by their age.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Spread(BTreeMap<SocketAddr, f64>);

/// The time in which an endpoint that gets no requests loses half of its part in a [`Spread`], in seconds.
const SPREAD_HALF_LIFE: f64 = 60.0;
/// With fewer requests left than this, an endpoint is gone.
const GONE: f64 = 0.01;

impl Spread {
    fn add(&mut self, grown: &Grown<'_>, kept: f64) {
        self.0.retain(|_, requests| {
            *requests *= kept;
            *requests >= GONE
        });
        for (address, requests, _) in grown.endpoints() {
            if requests > 0 {
                *self.0.entry(address).or_default() += requests as f64;
            }
        }
    }

    /// The share of all requests that the endpoint of a request gets, on average over the requests: 1 over the number
    /// of endpoints if they get equally many, and 1 as long as none is known.
    fn share(&self) -> f64 {
        let (all, squares) = self
            .0
            .values()
            .fold((0.0, 0.0), |(all, squares), n| (all + n, squares + n * n));
        if all > 0.0 {
            squares / (all * all)
        } else {
            1.0
        }
    }
}

/// How many requests tell as much as one when those of one endpoint agree by `agreement`, and there are `requests` of one
/// endpoint in a window on average. How many there are beside one that came is as much: they come at random.
fn dispersion(agreement: f64, requests: f64) -> f64 {
    1.0 + CUT * requests * agreement
}

#[cfg(test)]
mod tests;
