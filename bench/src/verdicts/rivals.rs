//! What other tools would have made of the same canaries.
//!
//! Sluice takes the traffic away long before a rule that looks once a minute has seen anything. So a canary's requests are
//! recorded as its origin got them, and go on where they ended: drawn from the same script, at the rate that the
//! canary's weight gives it, in the virtual time that is left of [`WATCHED`]. No clock is sped up, and no rate is
//! changed: windows are whole minutes of these requests.

use super::script::{Arrival, Script};
use rollout::sim::{Loss, Rival, Rule};
use std::time::Duration;

/// How long a canary is watched that is not rolled back: fifteen windows.
pub const WATCHED: Duration = Duration::from_secs(900);

/// What a canary would have cost with the rules of other tools. Nothing: it would still be there after [`WATCHED`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rivals {
    /// With [`Rule::ARGO`].
    pub argo: Option<Loss>,
    /// With [`Rule::FLAGGER`].
    pub flagger: Option<Loss>,
}

/// A canary's requests, and its script as it stood after the last one.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) script: Script,
}

impl Record {
    /// Shows the rules what came, and then what would have come at `rate` requests a second. Both see the same requests.
    pub(crate) fn judge(self, rate: f64) -> Rivals {
        let Self { arrivals, script } = self;
        let first = arrivals.first().map_or(Duration::ZERO, |first| first.at);
        let last = arrivals.last().map_or(first, |last| last.at);
        let rest = script.arrivals(last, rate);
        let (mut argo, mut flagger) = (Rival::new(Rule::ARGO), Rival::new(Rule::FLAGGER));
        let (mut requests, mut failures) = (0, 0);
        for arrival in arrivals.into_iter().chain(rest) {
            // A window ends before the request that comes after its end.
            let elapsed = (arrival.at - first).min(WATCHED);
            argo.take(elapsed, requests, failures);
            flagger.take(elapsed, requests, failures);
            let is_over = argo.loss().is_some() && flagger.loss().is_some();
            if elapsed == WATCHED || is_over {
                break;
            }
            requests += 1;
            failures += u64::from(arrival.fails);
        }
        Rivals {
            argo: argo.loss(),
            flagger: flagger.loss(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::failing;
    use super::*;

    /// What becomes of a canary at 10 requests a second of which a part was recorded: a request every 100 ms that fails
    /// every so many times, for so many seconds; then it fails this share.
    fn check(
        (seconds, every): (u64, u64),
        ratio: f64,
        [argo, flagger]: [Option<(u64, [u64; 2])>; 2],
    ) {
        let arrival = |request| Arrival {
            at: Duration::from_secs(50) + Duration::from_millis(100) * request as u32,
            fails: request % every == 0,
        };
        let record = Record {
            arrivals: (0..10 * seconds).map(arrival).collect(),
            script: Script::new(failing(ratio), Duration::ZERO, 3),
        };
        let rivals = record.judge(10.0);
        for (found, wanted) in [(rivals.argo, argo), (rivals.flagger, flagger)] {
            let is_as_wanted = match (found, wanted) {
                (Some(found), Some((took, [least, most]))) => {
                    found.took.as_secs() == took && (least..=most).contains(&found.failed)
                }
                (found, wanted) => found.is_none() && wanted.is_none(),
            };
            assert!(is_as_wanted, "{seconds} s, then {ratio}: {rivals:?}");
        }
    }

    #[test]
    fn what_was_recorded_goes_on_at_the_same_rate() {
        let dead = [Some((195, [1_850, 2_050])), Some((315, [3_000, 3_300]))];
        check((1, 1), 1.0, dead);
        check((100, 1), 1.0, dead);
        // More than 1 % and less than 5 % of 600 requests.
        check((1, 1), 0.025, [None, Some((315, [50, 120]))]);
        check((1, 1_000), 0.0, [None, None]);
    }

    #[test]
    fn what_was_recorded_counts() {
        // Four minutes above 5 %, without which the rest of it is well.
        check((240, 10), 0.0, [Some((195, [195, 195])), None]);
        // All fifteen minutes are recorded, and nothing has to be drawn.
        check((901, 50), 1.0, [None, Some((315, [63, 63]))]);
    }
}
