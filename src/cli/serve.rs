//! `retailflow serve`: the engine as a server.

use std::net::SocketAddr;

use crate::cli::Context;
use crate::cli::data::DataArgs;
use crate::exit::Failure;
use crate::participants::Kind;
use crate::serve;

const EXAMPLES: &str = "\
Examples:
  retailflow serve --data data
  retailflow serve --data data --listen 127.0.0.1:9000 --participants flaky --seed 7
  curl -s 127.0.0.1:8080/readyz

It stops in good order on SIGTERM or SIGINT: it says that it is not ready, answers what is under way, and ends; a second
signal ends it at once. Nothing that was answered is lost either way.";

/// The arguments of `serve`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where tenants' systems connect, over `http.listen`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", env = "RETAILFLOW_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where operators connect, over `http.admin_listen`
    #[arg(long, value_name = "ADDRESS", env = "RETAILFLOW_ADMIN_LISTEN")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Listen where others than this machine can connect, although nobody is asked who they are
    #[arg(long)]
    pub(crate) insecure: bool,
    /// What stock, payments and shipping are like; their books are kept in DIR/participants
    #[arg(long, value_enum, default_value = "perfect")]
    pub(crate) participants: Kind,
    /// What the faults of flaky participants are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Take commands in and leave all steps to a later run: for measurements
    #[arg(long, hide = true)]
    pub(crate) intake_only: bool,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let mut config = context.config.config;
    config.http.listen = args.listen.unwrap_or(config.http.listen);
    config.http.admin_listen = args.admin_listen.unwrap_or(config.http.admin_listen);
    let options = serve::Options {
        insecure: args.insecure,
        participants: args.participants,
        seed: args.seed,
        drives_effects: !args.intake_only,
    };
    serve::run(&args.data.data, config, &options)
}
