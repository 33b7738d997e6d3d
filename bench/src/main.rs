//! Compares what a forwarded request costs with other proxies, and more. See the crate's README.

use anyhow::Context as _;
use bench::{sluice::Shop, workers};
use clap::{Parser, Subcommand, ValueEnum};
use http::HeaderName;
use proxy::{Certificate, ListenerTls, TlsVersion};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use traffic::{Sticky, StickyKey};
#[cfg(target_os = "linux")]
use {
    anyhow::ensure,
    bench::{rivals, verdicts},
    std::time::Duration,
};

/// As in the program that is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what the proxy costs.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a forwarded request costs, beside a plain TCP relay and, where they are installed, HAProxy, nginx, Envoy and
    /// Pingora.
    #[cfg(target_os = "linux")]
    Rivals(Rivals),
    /// How long bad canaries live and whether good ones are spared, over real sockets.
    #[cfg(target_os = "linux")]
    Verdicts(Verdicts),
    /// How long-lived connections spread over workers.
    Workers {
        /// How often a proxy is started and connected to in each case.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
        repeats: u16,
    },
    /// One of the contenders, for `rivals` to start. Prints its address and ends when its input does.
    Serve(Serve),
}

#[cfg(target_os = "linux")]
#[derive(Debug, clap::Args)]
struct Rivals {
    /// The cases, by name; all when none is named.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Who is compared.
    #[arg(long, value_delimiter = ',', default_values_t = rivals::Kind::DEFAULT, value_enum)]
    contenders: Vec<rivals::Kind>,
    /// How many times every contender is measured in each case.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each time, in seconds.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// CPU time only.
    #[arg(long)]
    no_latency: bool,
    /// A file for a line about each measurement.
    #[arg(long)]
    csv: Option<PathBuf>,
}

/// From 0.05 s, below which nothing can be measured, to an hour.
#[cfg(target_os = "linux")]
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.05..=3_600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("{text} is not from 0.05 to 3600"))
    }
}

#[cfg(target_os = "linux")]
#[derive(Debug, clap::Args)]
struct Verdicts {
    /// The program under test. Left out: `sluice` beside this program.
    #[arg(long, env = "SLUICE_BIN")]
    sluice: Option<PathBuf>,
    /// How many canaries each cell ships.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// No cell ships another canary after so many seconds.
    #[arg(long, default_value_t = 240)]
    budget: u64,
    /// How long the stable is alone before the first canary, in seconds.
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// How long a canary is watched that is as good as the stable, in seconds. From 900 on, the rules of other tools are
    /// shown nothing but what came over sockets.
    #[arg(long, default_value_t = 30)]
    good: u64,
    /// The options of every rollout's plugin, as YAML, such as "{guard: {warmUp: 0s}}".
    #[arg(long, default_value = "{}")]
    options: String,
    /// Only the cells whose name contains this, such as "1000 rps".
    #[arg(long, default_value = "")]
    cells: String,
    /// A file for a line about each canary.
    #[arg(long)]
    csv: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Serve {
    what: Served,
    /// The endpoint of the stable version.
    #[arg(long)]
    stable: SocketAddr,
    /// The endpoint of the canary. The relay does without.
    #[arg(long)]
    canary: SocketAddr,
    /// How many rules there are.
    #[arg(long, default_value_t = 1)]
    rules: usize,
    /// The user is whom the header `x-user` names.
    #[arg(long)]
    sticky: bool,
    /// A certificate and its key, as PEM files.
    #[arg(long, num_args = 2)]
    tls: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Served {
    /// This proxy with a canary at 10 %.
    Proxy,
    /// A TCP relay.
    Relay,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        #[cfg(target_os = "linux")]
        Command::Rivals(args) => rivals(args),
        #[cfg(target_os = "linux")]
        Command::Verdicts(args) => verdicts(args),
        Command::Workers { repeats } => {
            print!("{}", workers::run(repeats.into())?);
            Ok(())
        }
        Command::Serve(args) => match args.what {
            Served::Proxy => proxy(&args),
            Served::Relay => relay(args.stable),
        },
    }
}

#[cfg(target_os = "linux")]
fn rivals(args: Rivals) -> anyhow::Result<()> {
    let cases = match args.cases.as_slice() {
        [] => rivals::CASES.into(),
        names => rivals::select(names)?,
    };
    let csv = rivals::run(&rivals::Plan {
        cases,
        kinds: args.contenders,
        rounds: args.rounds.into(),
        span: Duration::from_secs_f64(args.seconds),
        with_latency: !args.no_latency,
    })?;
    write(args.csv, &csv)
}

/// Writes `text` into `file`, if there is one.
#[cfg(target_os = "linux")]
fn write(file: Option<PathBuf>, text: &str) -> anyhow::Result<()> {
    match file {
        Some(file) => std::fs::write(&file, text).with_context(|| file.display().to_string()),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn verdicts(args: Verdicts) -> anyhow::Result<()> {
    let sluice = match args.sluice {
        Some(sluice) => sluice,
        None => std::env::current_exe()?.with_file_name("sluice"),
    };
    ensure!(
        sluice.is_file(),
        "there is no {}: build it with `cargo build --release -p sluice`, or name another by --sluice",
        sluice.display()
    );
    let plan = verdicts::Plan {
        sluice,
        repeats: args.repeats.into(),
        budget: Duration::from_secs(args.budget),
        warm_up: Duration::from_secs(args.warm_up),
        options: args.options,
    };
    let mut groups = verdicts::groups(Duration::from_secs(args.good));
    for cells in &mut groups {
        cells.retain(|cell| cell.name().contains(&args.cells));
    }
    groups.retain(|cells| !cells.is_empty());
    ensure!(
        !groups.is_empty(),
        "no cell's name contains {:?}",
        args.cells
    );
    let csv = verdicts::run(&groups, &plan)?;
    write(args.csv, &csv)
}

fn proxy(args: &Serve) -> anyhow::Result<()> {
    let tls = match args.tls.as_slice() {
        [chain, key] => Some(ListenerTls {
            certificates: vec![Certificate {
                chain_file: chain.clone(),
                key_file: key.clone(),
                ocsp_file: None,
            }],
            client: None,
            min_version: TlsVersion::default(),
        }),
        _ => None,
    };
    let sticky = args.sticky.then(|| Sticky {
        keys: vec![StickyKey::Header(HeaderName::from_static("x-user"))],
        salt: 1,
    });
    let shop = Shop {
        sticky,
        rules: args.rules.max(1),
        tls,
        ..Shop::new(args.stable, args.canary)
    };
    // The program as it is shipped has a subscriber. Without one, each span of h2 looks for a logger of another kind.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default())?;
    let sluice = shop.start()?;
    tell_and_wait(sluice.address().context("the proxy listens nowhere")?)
}

fn relay(upstream: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || runtime.block_on(bench::relay::serve(listener, upstream)));
    tell_and_wait(address)
}

/// Prints `address` and waits until whoever reads it is gone.
fn tell_and_wait(address: SocketAddr) -> anyhow::Result<()> {
    println!("{address}");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
