//! How often a release that is as good as the stable one is rolled back, and how fast a bad one is: thousands of
//! rollouts under virtual time, with the rules of Argo Rollouts and Flagger beside, on the same requests.
//!
//! ```text
//! cargo run --release -p rollout --features sim --example verdicts -- --runs 10000 --cells alike
//! ```

mod cell;
mod crowd;
mod table;
mod watched;

use cell::{CELLS, Cell, Kind};
use std::process::ExitCode;

const USAGE: &str = "\
verdicts [--runs N] [--cells alike|bad|all|PART OF A NAME] [--csv FILE]

  --runs   rollouts in each cell, 1 to 1000000 [1000]
  --cells  which cells [all]
  --csv    where each cell's figures go as well";

/// What the command line asks for.
struct Args {
    runs: u64,
    cells: String,
    csv: Option<String>,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            runs: 1_000,
            cells: "all".to_owned(),
            csv: None,
        };
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--runs" => {
                    let runs = value
                        .parse()
                        .ok()
                        .filter(|runs| (1..=1_000_000).contains(runs));
                    args.runs = runs.ok_or_else(|| {
                        format!("--runs is {value}, but must be from 1 to 1000000")
                    })?;
                }
                "--cells" => args.cells = value,
                "--csv" => args.csv = Some(value),
                _ => return Err(format!("there is no option {word}")),
            }
        }
        Ok(args)
    }

    fn wants(&self, cell: &Cell) -> bool {
        match self.cells.as_str() {
            "all" => true,
            "alike" => cell.kind == Kind::Alike,
            "bad" => cell.kind == Kind::Bad,
            part => cell.name().contains(part),
        }
    }
}

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let cells: Vec<_> = CELLS.iter().filter(|cell| args.wants(cell)).collect();
    if cells.is_empty() {
        return Err(format!("no cell's name contains {:?}", args.cells));
    }
    let mut csv = table::CSV_HEADING.to_owned();
    println!("{}", table::HEADING);
    for cell in cells {
        let row = table::Row::of(cell, &cell.run(args.runs));
        println!("{row}");
        csv.push_str(&row.csv());
    }
    match &args.csv {
        Some(file) => std::fs::write(file, csv).map_err(|error| format!("{file}: {error}")),
        None => Ok(()),
    }
}
