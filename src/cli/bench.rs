//! `retailflow bench`: how fast it is here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use retailflow_actors::Settings;
use retailflow_config::Config;

use crate::app::{self, Make};
use crate::bench::load::{self, Orders, Pace};
use crate::bench::machine;
use crate::bench::raw::{self, Groups};
use crate::bench::report::BenchReport;
use crate::cli::{Context, Output, print};
use crate::exit::{ExitStatus, Failure, OrExit};

/// The commands under `bench`.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// Measure one machine: place orders durably, and the raw log beside it
    #[command(after_help = "Example:\n  retailflow bench embedded --json > bench.json")]
    Embedded(EmbeddedArgs),
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
    let Args::Embedded(args) = args;
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
    let (mut measured, groups) = runtime
        .block_on(async {
            let node = store
                .node(Settings::new(config.clone(), "bench"))
                .await
                .map_err(|f| anyhow::anyhow!("{f}"))?;
            let new = |from| Orders::New { from };
            let closed = |in_flight| Pace::Closed { in_flight };
            let intake =
                load::drive(&node, "intake, 512 in flight", closed(512), new(1), args.orders).await?;
            let groups = Groups::of(store.log.as_ref()).await?;
            let half = (intake.per_second / 2.0) as u64;
            let name = format!("intake, open loop at {half} a second");
            let open = Pace::Open { per_second: half, in_flight_max: 512 };
            let mut measured = vec![intake];
            measured.push(load::drive(&node, &name, open, new(1 << 40), args.orders / 2).await?);
            measured.push(
                load::drive(&node, "intake, 64 in flight", closed(64), new(2 << 40), args.orders / 2).await?,
            );
            measured.push(
                load::drive(&node, "intake, 1 in flight", closed(1), new(3 << 40), args.orders.min(5_000))
                    .await?,
            );
            measured.push(
                load::drive(&node, "one hot order, 256 in flight", closed(256), Orders::Hot, 10_000).await?,
            );
            node.stop(Duration::from_secs(20)).await;
            anyhow::Ok((measured, groups))
        })
        .or_exit(ExitStatus::Unreachable, failed)?;
    let records =
        runtime.block_on(Groups::of(store.log.as_ref())).or_exit(ExitStatus::Unreachable, failed)?;
    store.close();
    let disk = machine::disk_bytes(&folder.join("data"));
    let raw = runtime.block_on(raw::log(&folder.join("raw-log"), app::log_options(config), &groups));
    let raw = raw.or_exit(ExitStatus::Unreachable, failed)?;
    let share_of_raw_log = measured[0].per_second / raw.per_second.max(1e-9);
    measured.push(raw);
    let index = raw::index(&folder.join("raw-index"), app::disk_options(config).index, args.orders);
    measured.push(index.or_exit(ExitStatus::Unreachable, failed)?);
    Ok(BenchReport {
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
