//! `retailflow generate`: a made-up load of commands.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::value_parser;
use retailflow_engine::ids::TenantId;

use crate::cli::{Context, Output};
use retailflow_generate::{self as generate, REORDER_MAX, Settings, Shares};
use retailflow_server::durable_file::DurableFile;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Most orders: far more than a disk holds, and no sum overflows.
const ORDERS_MAX: u64 = 1_000_000_000_000;
const OUT_BUFFER_BYTES: usize = 256 * 1024;

const EXAMPLES: &str = "\
Examples:
  retailflow generate --orders 100000 --seed 7 | retailflow run --commands - --data data
  retailflow generate --orders 1000 --seed 1 --cancel-permille 500 --reorder 20 --out commands.jsonl

The same options give the same bytes, on each machine and with each build. Orders are named g<seed>-<number>, so that
loads of different seeds can be run on one data directory.

Cancels follow their place within some 2,000 lines, mostly nearby; returns come 3,000 to 8,000 lines behind it, where
the order is probably complete. Where no more orders begin, what is left comes close together. Operators' commands are
none of a file's: every door but the operators' own refuses them.";

/// The arguments of `generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many orders
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=ORDERS_MAX))]
    orders: u64,
    /// Which load: another number gives other orders
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Whose orders they are
    #[arg(long, value_name = "TENANT", default_value = "shop", value_parser = TenantId::parse)]
    tenant: TenantId,
    /// Of a thousand orders, how many are canceled
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = permille())]
    cancel_permille: u64,
    /// Of a thousand orders, how many come back in part; these are not canceled
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = permille())]
    return_permille: u64,
    /// Of a thousand commands, how many come a second time
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = permille())]
    duplicate_permille: u64,
    /// Of a thousand places, how many come again thousands of lines later
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = permille())]
    late_permille: u64,
    /// Of a thousand places, how many see their id used for another command, which is refused
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = permille())]
    reuse_permille: u64,
    /// Of a thousand cancels, how many come before their place, and are refused
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = permille())]
    early_permille: u64,
    /// Of a thousand orders, how many payments are declined
    #[arg(long, value_name = "N", value_parser = permille())]
    decline_permille: Option<u64>,
    /// Of a thousand orders, how many payments are reviewed: the order waits until somebody reports how that ended
    #[arg(long, value_name = "N", value_parser = permille())]
    review_permille: Option<u64>,
    /// Of a thousand reviews, how many are reported to have ended badly, 3,000 to 8,000 lines later
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = permille())]
    report_permille: u64,
    /// Of a thousand declined payments, how many are followed by another means, which helps where the tenant's orders wait for one
    #[arg(long, value_name = "N", value_parser = permille())]
    pay_permille: Option<u64>,
    /// Of a thousand orders, how many are paid in parts
    #[arg(long, value_name = "N", value_parser = permille())]
    split_permille: Option<u64>,
    /// Of a thousand orders, how many get money back without goods
    #[arg(long, value_name = "N", value_parser = permille())]
    refund_permille: Option<u64>,
    /// Of a thousand orders, how many are held, and released later
    #[arg(long, value_name = "N", value_parser = permille())]
    hold_permille: Option<u64>,
    /// Of a thousand orders, how many are changed soon after they are placed
    #[arg(long, value_name = "N", value_parser = permille())]
    amend_permille: Option<u64>,
    /// Of a thousand orders, of how many a unit is canceled soon after they are placed
    #[arg(long, value_name = "N", value_parser = permille())]
    cancel_units_permille: Option<u64>,
    /// Of a thousand orders, of how many a fact is recorded: a chargeback, a loss
    #[arg(long, value_name = "N", value_parser = permille())]
    record_permille: Option<u64>,
    /// Of a thousand orders, of how many a unit is exchanged for another thing, 3,000 to 8,000 lines later
    #[arg(long, value_name = "N", value_parser = permille())]
    exchange_permille: Option<u64>,
    /// Of a thousand orders, how many have goods that go in parts
    #[arg(long, value_name = "N", value_parser = permille())]
    parts_permille: Option<u64>,
    /// What is made of these, and of declined and reviewed payments, where no option says how much
    #[arg(long, value_name = "MIX", default_value = "plain")]
    mix: Mix,
    /// How many lines a line may move; those of one order never change places
    #[arg(long, value_name = "LINES", default_value_t = 0, value_parser = value_parser!(u32).range(0..=i64::from(REORDER_MAX)))]
    reorder: u32,
    /// Where the commands go instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is made up where no option says how much of it.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Mix {
    /// Orders, cancels, returns
    Plain,
    /// Some of all that shops do, but for reviews, which wait for people
    Shop,
}

impl Mix {
    /// What is asked for, or what the mix has.
    fn or(self, asked: Option<u64>, of_a_shop: u64) -> u64 {
        asked.unwrap_or(match self {
            Self::Plain => 0,
            Self::Shop => of_a_shop,
        })
    }
}

fn permille() -> clap::builder::RangedU64ValueParser {
    value_parser!(u64).range(0..=1000)
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    if args.cancel_permille + args.return_permille > 1000 {
        return Err(Failure::usage(
            "--cancel-permille and --return-permille are shares of the same orders: at most 1000 together",
        ));
    }
    let mix = args.mix;
    let shares = Shares {
        cancel_permille: args.cancel_permille,
        return_permille: args.return_permille,
        duplicate_permille: args.duplicate_permille,
        late_permille: args.late_permille,
        reuse_permille: args.reuse_permille,
        early_permille: args.early_permille,
        decline_permille: mix.or(args.decline_permille, 30),
        review_permille: args.review_permille.unwrap_or(0),
        report_permille: args.report_permille,
        pay_permille: mix.or(args.pay_permille, 500),
        split_permille: mix.or(args.split_permille, 150),
        refund_permille: mix.or(args.refund_permille, 30),
        hold_permille: mix.or(args.hold_permille, 20),
        amend_permille: mix.or(args.amend_permille, 40),
        cancel_units_permille: mix.or(args.cancel_units_permille, 20),
        record_permille: mix.or(args.record_permille, 10),
        exchange_permille: mix.or(args.exchange_permille, 30),
        parts_permille: mix.or(args.parts_permille, 100),
    };
    if shares.decline_permille + shares.review_permille > 1000 {
        return Err(Failure::usage(
            "--decline-permille and --review-permille are shares of the same orders: at most 1000 together",
        ));
    }
    if shares.extras_permille() > 1000 {
        return Err(Failure::usage(
            "--refund-permille, --hold-permille, --amend-permille, --cancel-units-permille, --record-permille and --exchange-permille are shares of the \
             same orders: at most 1000 together",
        ));
    }
    let Args { tenant, orders, seed, reorder, .. } = args;
    let settings = Settings { tenant, orders, seed, shares, reorder };
    let summary = match &args.out {
        None => generate::run(&settings, BufWriter::with_capacity(OUT_BUFFER_BYTES, io::stdout().lock()))?,
        Some(path) => {
            let cannot = || format!("cannot write {}", path.display());
            let mut file = DurableFile::create(path).or_exit(ExitStatus::Usage, cannot)?;
            let summary = generate::run(&settings, &mut file)?;
            file.finish().or_exit(ExitStatus::Unreachable, cannot)?;
            summary
        }
    };
    let text = match context.output {
        Output::Table => summary.to_string(),
        Output::Json => {
            let json = serde_json::to_string(&summary);
            json.or_exit(ExitStatus::Unreachable, || "cannot write the summary")? + "\n"
        }
    };
    // Whoever reads it may have gone; the commands are written.
    let _ = io::stderr().write_all(text.as_bytes());
    Ok(())
}
