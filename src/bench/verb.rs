//! `retailflow bench`: how fast it is here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retailflow_actors::Settings;
use retailflow_config::Config;

use crate::bench::cluster::{self, ClusterBench};
use crate::bench::isolation::{self, IsolationBench};
use crate::bench::take_over::{self, TakeOverBench};
use crate::cli::{Context, Output, print};
use retailflow_measure::load::{self, LifecycleRun, Orders, Pace};
use retailflow_measure::machine;
use retailflow_measure::raw::{self, Groups};
use retailflow_measure::report::{BenchReport, Measured};
use retailflow_server::app::{self, Make, Store};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::instant::Instant;

/// The commands under `bench`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Measure one machine: place orders durably, and the raw log beside it
    #[command(after_help = "Example:\n  retailflow bench embedded --json > bench.json")]
    Embedded(EmbeddedArgs),
    /// Measure a node on NATS servers of its own, and these servers beside it
    Cluster(ClusterBench),
    /// Measure what all others feel while one part is sick: some partitions' log, a participant, a loud tenant
    Isolation(IsolationBench),
    /// Measure how soon the open orders of a large partition are driven again by its next owner
    TakeOver(TakeOverBench),
}

/// The arguments of `bench embedded`.
#[derive(clap::Args, Debug)]
pub(crate) struct EmbeddedArgs {
    /// Where to measure; an own folder is made in it and removed afterwards [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many orders each measurement places
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) orders: u64,
    /// The same as `-o json`
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let args = match args {
        Args::Embedded(args) => args,
        Args::Cluster(args) => return cluster::exec(args, context),
        Args::Isolation(args) => return isolation::exec(&args, context),
        Args::TakeOver(args) => return take_over::exec(&args, context),
    };
    let json = args.json || context.output == Output::Json;
    let base = args.data.clone().unwrap_or_else(|| PathBuf::from("."));
    let folder = base.join(format!("retailflow-bench-{}", std::process::id()));
    let measured = embedded(&args, &context.config.config, &folder);
    let removed = std::fs::remove_dir_all(&folder);
    let report = measured?;
    removed.or_exit(ExitStatus::Unreachable, || format!("cannot remove {}", folder.display()))?;
    if json {
        let text =
            serde_json::to_string_pretty(&report).or_exit(ExitStatus::Unreachable, || "cannot show it")?;
        return print(&(text + "\n"));
    }
    print(&report.table())
}

fn embedded(args: &EmbeddedArgs, config: &Config, folder: &Path) -> Result<BenchReport, Failure> {
    let runtime = app::runtime()?;
    let store = app::open(&folder.join("data"), config, Make::IfMissing)?;
    let failed = || "the measurement failed";
    let (mut measured, groups, lives) =
        runtime.block_on(measure(args, config, &store)).or_exit(ExitStatus::Unreachable, failed)?;
    let records =
        runtime.block_on(Groups::of(store.log.as_ref())).or_exit(ExitStatus::Unreachable, failed)?;
    store.close();
    let disk = machine::disk_bytes(&folder.join("data"));
    let raw = runtime.block_on(raw::log(&folder.join("raw-log"), app::log_options(config), &groups));
    let raw = raw.or_exit(ExitStatus::Unreachable, failed)?;
    let share_of_raw_log = measured[1].per_second / raw.per_second.max(1e-9);
    measured.push(raw);
    let index = raw::index(&folder.join("raw-index"), app::disk_options(config).index, args.orders);
    measured.push(index.or_exit(ExitStatus::Unreachable, failed)?);
    Ok(BenchReport {
        open_orders_most_first_half: lives.most_open_first_half,
        open_orders_most: lives.most_open,
        second_half_per_second: lives.second_half_per_second,
        version: format!("retailflow {}", env!("CARGO_PKG_VERSION")),
        machine: machine::describe(),
        release: !cfg!(debug_assertions),
        measured,
        share_of_raw_log,
        records_a_group: groups.records as f64 / groups.count().max(1) as f64,
        bytes_a_record: groups.record_bytes as f64 / groups.records.max(1) as f64,
        disk_a_record_byte: disk as f64 / records.record_bytes.max(1) as f64,
    })
}

/// Whole lives first, on an empty log; then intake alone, by a node that drives no steps.
async fn measure(
    args: &EmbeddedArgs,
    config: &Config,
    store: &Store,
) -> anyhow::Result<(Vec<Measured>, Groups, LifecycleRun)> {
    let instant = Arc::new(Instant::default());
    let start = |drives_effects| {
        let settings = Settings { drives_effects, ..Settings::new(config.clone(), "bench") };
        let node = store.node(settings, instant.participants());
        async { node.await.map_err(|failure| anyhow::anyhow!("{failure}")) }
    };
    let stop = Duration::from_secs(20);
    let node = start(true).await?;
    let name = "sustained, whole lives, 512 callers";
    let lives = load::whole_lives(&node, name, 512, 1, args.orders).await?;
    let alone = args.orders.min(2_000);
    let one = load::one_by_one(&node, "one order alone, place to completed", 4 << 40, alone).await?;
    anyhow::ensure!(instant.performed() >= 4 * (args.orders + alone), "some step was left out");
    node.stop(stop).await;

    let node = start(false).await?;
    let new = |from| Orders::New { from };
    let count = Arc::default();
    let closed = |in_flight| Pace::Closed { in_flight };
    let before = Groups::of(store.log.as_ref()).await?;
    let intake =
        load::drive(&node, "intake alone, 512 in flight", closed(512), new(5 << 40), args.orders, &count)
            .await?;
    let groups = Groups::of(store.log.as_ref()).await?.since(&before);
    let half = (intake.per_second / 2.0) as u64;
    let name = format!("intake alone, open loop at {half} a second");
    let open = Pace::Open { per_second: half, in_flight_max: 512 };
    let few = args.orders / 2;
    let mut measured = vec![lives.measured.clone(), intake, one];
    measured.push(load::drive(&node, &name, open, new(1 << 40), few, &count).await?);
    let name = "intake alone, 64 in flight";
    let at_64 = load::drive(&node, name, closed(64), new(2 << 40), args.orders, &count);
    let name = "a quiet caller beside 64 in flight";
    let (at_64, quiet) = load::quiet_caller(&node, name, 6 << 40, at_64).await?;
    measured.extend([at_64, quiet]);
    let one = args.orders.min(5_000);
    measured
        .push(load::drive(&node, "intake alone, 1 in flight", closed(1), new(3 << 40), one, &count).await?);
    let hot =
        load::drive(&node, "one hot order, 256 in flight", closed(256), Orders::Hot, 10_000, &count).await?;
    measured.push(hot);
    node.stop(stop).await;
    Ok((measured, groups, lives))
}
