//! Verdicts over real sockets: how long a bad canary lives, how many users it costs, and whether a good one is spared.
//!
//! The program under test is a process on one core, with one worker and as it is shipped; users and origins are in this
//! process, on another core. Each cell is a rollout with a host of its own, and all cells of a group run side by side.
//! Nothing here knows how the program decides: documents go in, and what came to the origins is what is measured.

mod cell;
mod load;
mod origin;
mod report;
mod rivals;
mod script;
mod site;

pub use cell::{Cell, Outcome, Trial};
pub use rivals::{Rivals, WATCHED};
pub use script::{BURST, Behaviour};

use crate::cores::Cores;
use crate::shipped::Program;
use anyhow::{Context as _, ensure};
use cell::Ended;
use load::Load;
use origin::Origin;
use serde_json::Value;
use site::{Place, Site};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program under test.
    pub sluice: PathBuf,
    /// How many canaries each cell ships.
    pub repeats: usize,
    /// A cell ships no further canary after this time.
    pub budget: Duration,
    /// How long the stable is alone before the first one.
    pub warm_up: Duration,
    /// The options of every rollout's `sluice/proxy` plugin, as YAML on one line; `{}` for the defaults.
    pub options: String,
}

/// How often it is looked at what has become of a canary.
const LOOK: Duration = Duration::from_millis(20);
/// After a rollback: when nothing has come for so long, nothing is under way any more.
const SETTLE: Duration = Duration::from_millis(500);
/// How long the program may take to do what it was told before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every group of cells of the table; the cells of a group run side by side. Versions that are alike are watched for
/// `good`.
pub fn groups(good: Duration) -> Vec<Vec<Cell>> {
    let seconds = Duration::from_secs;
    let bad = |rps: f64, weight| {
        vec![
            Cell::bad(rps, weight, 1.0, seconds(30)),
            Cell::bad(rps, weight, 0.5, seconds(60)),
            Cell::bad(rps, weight, 0.1, seconds(120)),
            Cell::bad(rps, weight, 0.02, seconds(240)),
            Cell::slow(rps, weight, seconds(240)),
        ]
    };
    let bursts = Some(seconds(30));
    let alike = [
        (0.001, None),
        (0.01, None),
        (0.05, None),
        (0.001, bursts),
        (0.01, bursts),
    ];
    vec![
        [bad(100.0, 5), bad(100.0, 10)].concat(),
        bad(1_000.0, 5),
        bad(1_000.0, 10),
        alike
            .map(|(ratio, bursts)| Cell::alike(200.0, ratio, bursts, good))
            .to_vec(),
    ]
}

/// Measures `groups` one after the other, prints a table of each as soon as it is there, and returns all as CSV.
///
/// # Errors
/// When the program cannot be started, or does not do what it is told.
pub fn run(groups: &[Vec<Cell>], plan: &Plan) -> anyhow::Result<String> {
    let mut all = Vec::new();
    for cells in groups {
        let outcomes = measure(cells, plan)?;
        println!("{}", report::table(&outcomes));
        all.extend(outcomes);
    }
    Ok(report::csv(&all))
}

/// Measures `cells` side by side.
///
/// # Errors
/// As [`run`].
pub fn measure(cells: &[Cell], plan: &Plan) -> anyhow::Result<Vec<Outcome>> {
    // Before the runtime begins, so that its threads stay on the load's core.
    let cores = Cores::pick()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(measure_all(cells, plan, cores.as_ref()))?;
    // When nobody waits for this thread any more.
    Ok(measured.into_iter().map(Measured::outcome).collect())
}

/// What was seen of a cell, to be judged yet.
struct Measured {
    cell: Cell,
    canaries: Vec<Ended>,
    rate: f64,
    unexplained: u64,
}

impl Measured {
    fn outcome(self) -> Outcome {
        let cell = self.cell;
        let trials = self.canaries.into_iter();
        Outcome {
            cell,
            trials: trials.map(|canary| Trial::of(&cell, canary)).collect(),
            rate: self.rate,
            unexplained: self.unexplained,
        }
    }
}

async fn measure_all(
    cells: &[Cell],
    plan: &Plan,
    cores: Option<&Cores>,
) -> anyhow::Result<Vec<Measured>> {
    let mut origins = Vec::new();
    let mut places = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let seed = 2 * index as u64;
        let stable = Origin::start(cell.stable, seed).await?;
        let canary = Origin::start(cell.canary, seed + 1).await?;
        places.push(Place {
            name: format!("shop-{index}"),
            cell: *cell,
            stable: stable.address,
            canary: canary.address,
        });
        origins.push((stable, canary));
    }
    let site = Arc::new(Site::new(&places, plan.options.clone())?);
    let program = Program::start(&plan.sluice, &site.files(&places), cores)?;
    let program = Arc::new(program);
    let mut measuring = JoinSet::new();
    for (index, (place, (stable, canary))) in places.into_iter().zip(origins).enumerate() {
        let bench = Bench {
            place,
            stable,
            canary,
            site: Arc::clone(&site),
            program: Arc::clone(&program),
        };
        let plan = plan.clone();
        measuring.spawn(async move { Ok((index, bench.run(&plan).await?)) });
    }
    let measured: anyhow::Result<Vec<_>> = measuring.join_all().await.into_iter().collect();
    let mut measured = measured?;
    measured.sort_by_key(|(index, _)| *index);
    Ok(measured.into_iter().map(|(_, measured)| measured).collect())
}

/// One cell under measurement.
struct Bench {
    place: Place,
    stable: Origin,
    canary: Origin,
    site: Arc<Site>,
    program: Arc<Program>,
}

impl Bench {
    async fn run(&self, plan: &Plan) -> anyhow::Result<Measured> {
        let Place { name, cell, .. } = &self.place;
        let seed = u64::from(self.stable.address.port());
        let load = Load::start(self.program.listener, name, cell.rps, seed);
        sleep(plan.warm_up).await;
        let began = Instant::now();
        let (mut canaries, mut failed) = (Vec::new(), 0);
        for version in (2..).take(plan.repeats) {
            if began.elapsed() > plan.budget {
                break;
            }
            let canary = self.ship(version).await;
            let canary = canary.with_context(|| format!("{}, version {version}", cell.name()))?;
            failed += canary.seen.failed;
            canaries.push(canary);
        }
        failed += self.stable.seen().failed;
        Ok(Measured {
            cell: *cell,
            canaries,
            rate: load.rate(),
            unexplained: load.totals().failed.saturating_sub(failed),
        })
    }

    /// Ships a version and waits for what becomes of it.
    async fn ship(&self, version: usize) -> anyhow::Result<Ended> {
        let Place { name, cell, .. } = &self.place;
        let last = revision(&self.program.view(name).await?);
        self.canary.renew(cell.canary, version as u64);
        self.site.ship(&self.place, version)?;
        let asked = Instant::now();
        // On a busy machine a late request of the last canary may come now, and the document be read long after. An
        // abort until then would be one of the last canary, which is aborted already: this one would go on all the
        // same.
        while self.canary.seen().requests == 0 || self.is_unread(&last).await? {
            ensure!(asked.elapsed() < PATIENCE, "it gets no requests");
            sleep(LOOK).await;
        }
        let begun = Instant::now();
        let rolled_back = loop {
            if self.is_gone(&last).await? {
                break true;
            }
            if begun.elapsed() > cell.limit {
                break false;
            }
            sleep(LOOK).await;
        };
        if !rolled_back {
            self.program.abort(name).await?;
        }
        let ended = Instant::now();
        while !self.is_gone(&last).await? {
            ensure!(ended.elapsed() < PATIENCE, "an abort has no effect");
            sleep(LOOK).await;
        }
        self.settle().await;
        Ok(Ended {
            seen: self.canary.seen(),
            record: self.canary.record(),
            rolled_back,
        })
    }

    /// Waits until what is under way has ended: a late request would be taken for the next canary's first.
    async fn settle(&self) {
        loop {
            let before = self.canary.seen().requests;
            sleep(SETTLE).await;
            if self.canary.seen().requests == before {
                return;
            }
        }
    }

    /// Whether the `last` canary is still the latest that the program knows of.
    async fn is_unread(&self, last: &Value) -> anyhow::Result<bool> {
        let view = self.program.view(&self.place.name).await?;
        Ok(revision(&view) == *last)
    }

    /// Whether the canary that had requests has none any more, and the rollout is degraded. What became of the `last`
    /// canary says nothing of this one: until its document is read, it is the last one's end that is seen.
    async fn is_gone(&self, last: &Value) -> anyhow::Result<bool> {
        let view = self.program.view(&self.place.name).await?;
        let ended = view["phase"] == "Degraded" && view["weight"] == 0.0;
        Ok(ended && view["acknowledged"] == true && revision(&view) != *last)
    }
}

/// The revision of the canary that is under way or was the last one, if there was one.
fn revision(view: &Value) -> Value {
    view["canary"]["revision"].clone()
}
