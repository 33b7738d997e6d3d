//! What a forwarded request costs, of this proxy and of others.
//!
//! Every contender is a process of its own on one core; load and origins run on another, in this process. Rounds are
//! interleaved, so that what else happens on the machine hits all contenders alike, and ratios and differences are
//! taken within a round.

mod case;
mod closed;
mod contender;
mod csv;
mod installed;
mod lane;
mod open;
mod report;
mod setup;
mod tls;

pub use case::{CASES, Case, Transport, select};
pub use contender::Kind;

use crate::{cores::Cores, origin, spread::Spread};
use anyhow::{Context as _, ensure};
use closed::Busy;
use contender::{Contender, Place};
use lane::Dialer;
use open::Latency;
use report::Row;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tls::Certificate;
use tokio::net::TcpListener;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cases, one after the other.
    pub cases: Vec<Case>,
    /// Who is compared.
    pub kinds: Vec<Kind>,
    /// How many times every contender is measured in each case.
    pub rounds: usize,
    /// How long each time.
    pub span: Duration,
    /// Whether latencies are measured as well.
    pub with_latency: bool,
}

/// How long a contender may take to do what it was told before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rates at which latency is measured, in percent of [`reference`]'s.
const LOADS: [u32; 2] = [30, 70];

/// One contender's share in one round of one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) busy: Busy,
    /// Where latency was measured.
    pub(crate) added: Option<Added>,
}

/// What a contender adds to the latency of a direct connection, at each of [`LOADS`]; nothing where it could not keep
/// up.
pub(crate) type Added = [Option<Latency>; LOADS.len()];

/// Measures, prints tables in Markdown as it goes, and gives back a line for each measurement as CSV.
///
/// # Errors
/// When a contender that is installed does not work, or a request fails. A contender that is not installed is named.
pub fn run(plan: &Plan) -> anyhow::Result<String> {
    let cores = Cores::pick()?;
    let certificate = Certificate::make()?;
    println!("{}", report::machine(cores.as_ref()));
    let (mut results, mut csv) = (Vec::new(), csv::HEAD.to_owned());
    for case in &plan.cases {
        println!("{}", report::heading(case, plan));
        // A runtime for each case: when it is dropped, its origins end.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let rows = runtime
            .block_on(measure(plan, *case, &certificate, cores.as_ref()))
            .with_context(|| format!("case {}", case.name))?;
        println!("{}", report::table(&rows));
        csv += &csv::lines(case, &rows);
        results.push((*case, rows));
    }
    println!("{}", report::summary(&results));
    Ok(csv)
}

async fn measure(
    plan: &Plan,
    case: Case,
    certificate: &Certificate,
    cores: Option<&Cores>,
) -> anyhow::Result<Vec<Row>> {
    let field = Field::start(plan, case, certificate, cores).await?;
    let mut busy = Vec::new();
    for round in 0..plan.rounds {
        busy.push(field.busy(round).await?);
    }
    let rate = reference(&plan.kinds, &busy);
    let contenders = plan.kinds.iter().zip(&field.contenders);
    let mut rows: Vec<_> = contenders
        .map(|(kind, contender)| Row::new(*kind, contender.as_ref()))
        .collect();
    for (round, busy) in busy.into_iter().enumerate() {
        let added = match plan.with_latency {
            true => Some(field.added(round, rate).await?),
            false => None,
        };
        for (at, (row, busy)) in rows.iter_mut().zip(busy).enumerate() {
            let added = added.as_ref().map(|added| added[at]);
            row.rounds.extend(busy.map(|busy| Measured { busy, added }));
        }
    }
    Ok(rows)
}

/// All contenders of a case, running, and what they forward to.
struct Field {
    case: Case,
    span: Duration,
    stable: Origin,
    canary: Origin,
    /// In the order of the plan; nothing where a program is missing.
    contenders: Vec<Option<Contender>>,
    /// The way past all of them.
    direct: Dialer,
}

impl Field {
    async fn start(
        plan: &Plan,
        case: Case,
        certificate: &Certificate,
        cores: Option<&Cores>,
    ) -> anyhow::Result<Self> {
        let [stable, canary] = [
            Origin::start(case.body).await?,
            Origin::start(case.body).await?,
        ];
        let place = Place {
            case,
            stable: stable.address,
            canary: canary.address,
            certificate,
            cores,
        };
        let mut contenders = Vec::new();
        for &kind in &plan.kinds {
            contenders.push(Contender::start(kind, &place).await?);
        }
        let direct = Dialer {
            address: stable.address,
            case: case.in_plain_http1(),
            tls: certificate.connector(),
        };
        Ok(Self {
            case,
            span: plan.span,
            stable,
            canary,
            contenders,
            direct,
        })
    }

    /// Those that run, in the order of `round`, with their places.
    fn turns(&self, round: usize) -> impl Iterator<Item = (usize, &Contender)> {
        turns(round, self.contenders.len())
            .filter_map(|at| Some((at, self.contenders[at].as_ref()?)))
    }

    /// One round of closed loops.
    async fn busy(&self, round: usize) -> anyhow::Result<Vec<Option<Busy>>> {
        let mut busy = vec![None; self.contenders.len()];
        for (at, contender) in self.turns(round) {
            let found = self.closed_loop(contender).await;
            busy[at] = Some(found.with_context(|| contender.kind.name())?);
        }
        Ok(busy)
    }

    async fn closed_loop(&self, contender: &Contender) -> anyhow::Result<Busy> {
        let answered = || [&self.stable, &self.canary].map(Origin::answered);
        let before = answered();
        let lanes = contender.dialer.lanes().await?;
        let (cpu, resident) = (|| contender.cpu(), || contender.resident());
        let busy = closed::measure(lanes, self.span, cpu, resident).await?;
        if contender.kind.splits(&self.case) {
            let after = answered();
            check_split(after[0] - before[0], after[1] - before[1])?;
        }
        Ok(busy)
    }

    /// One round of open loops, at fractions of `rate` requests a second.
    async fn added(&self, round: usize, rate: f64) -> anyhow::Result<Vec<Added>> {
        let mut added = vec![Added::default(); self.contenders.len()];
        for (load, percent) in LOADS.into_iter().enumerate() {
            let rate = rate * f64::from(percent) / 100.0;
            // All of a round get the same requests at the same moments.
            let seed = (round * LOADS.len() + load) as u64;
            let open_loop = async |dialer: &Dialer| {
                open::measure(dialer.lanes().await?, rate, self.span, seed).await
            };
            let direct = open_loop(&self.direct).await;
            let direct = direct.context("direct connection")?;
            for (at, contender) in self.turns(round) {
                let found = open_loop(&contender.dialer).await;
                let found = found.with_context(|| contender.kind.name())?;
                added[at][load] = found
                    .zip(direct)
                    .map(|(found, direct)| found.above(&direct));
            }
        }
        Ok(added)
    }
}

/// The order in which contenders are measured in `round`: each begins another one, so that nobody always comes after the
/// same other.
fn turns(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
    (0..contenders).map(move |turn| (round + turn) % contenders)
}

/// The requests a second that all contenders' latencies are measured at fractions of, so that they can be compared: the
/// median of what HAProxy does in a closed loop. Where it is missing, that of the slowest who is there.
fn reference(kinds: &[Kind], rounds: &[Vec<Option<Busy>>]) -> f64 {
    let median = |at: usize| {
        let busy = rounds.iter().filter_map(|round| round[at]);
        Spread::of(busy.map(|busy| busy.rate())).map(|rates| rates.median)
    };
    let haproxy = kinds.iter().position(|kind| *kind == Kind::Haproxy);
    let slowest = || (0..kinds.len()).filter_map(median).min_by(f64::total_cmp);
    haproxy.and_then(median).or_else(slowest).unwrap_or(1.0)
}

/// A server that is forwarded to, and how many requests it has answered.
struct Origin {
    address: SocketAddr,
    answered: Arc<AtomicU64>,
}

impl Origin {
    async fn start(body: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answered = Arc::<AtomicU64>::default();
        tokio::spawn(origin::serve(listener, body, Arc::clone(&answered)));
        Ok(Self { address, answered })
    }

    fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }
}

/// A contender that sends all requests one way does less than the others.
fn check_split(stable: u64, canary: u64) -> anyhow::Result<()> {
    /// Below this, chance says too little.
    const ENOUGH: u64 = 1_000;
    let total = stable + canary;
    let share = canary as f64 / total as f64;
    ensure!(
        total < ENOUGH || (0.05..0.15).contains(&share),
        "{canary} of {total} requests came to the canary, which should get 10 %"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_begins_a_round_in_turn() {
        let order = |round| turns(round, 3).collect::<Vec<_>>();
        assert_eq!(order(0), [0, 1, 2]);
        assert_eq!(order(1), [1, 2, 0]);
        assert_eq!(order(5), [2, 0, 1]);
    }

    #[test]
    fn latencies_are_measured_at_fractions_of_one_rate() {
        let busy = |requests| {
            Some(Busy {
                requests,
                wall: Duration::from_secs(1),
                cpu: Duration::ZERO,
                user_share: 0.0,
                resident: 0,
            })
        };
        let rounds = [
            vec![busy(900), busy(500), busy(300)],
            vec![busy(700), busy(600), busy(200)],
        ];
        let kinds = [Kind::Relay, Kind::Haproxy, Kind::Envoy];
        let others = [Kind::Relay, Kind::Nginx, Kind::Envoy];
        for (kinds, rounds, expected) in [
            (kinds, &rounds[..], 550.0),
            (others, &rounds[..], 250.0),
            (kinds, &[vec![None; 3]][..], 1.0),
        ] {
            assert_eq!(reference(&kinds, rounds), expected);
        }
    }

    #[test]
    fn a_split_that_is_none_is_found() {
        for (stable, canary, is_fine) in [
            (9_000, 1_000, true),
            (9_400, 600, true),
            (10_000, 0, false),
            (5_000, 5_000, false),
            (9, 0, true),
        ] {
            assert_eq!(check_split(stable, canary).is_ok(), is_fine, "{canary}");
        }
    }
}
