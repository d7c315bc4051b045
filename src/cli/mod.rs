//! The command line: one file a command, its arguments and its `exec` together.
//!
//! Standard output is for what a command gives, standard error for what it says about it. What goes to standard output
//! goes through [`print()`], never through `println!`: a reader that has gone is no panic.

mod backup;
mod bench;
mod bench_cluster;
mod bench_isolation;
mod bench_take_over;
mod books;
mod cluster;
pub(crate) mod cluster_args;
mod cluster_recover;
mod config;
mod data;
mod dlq;
mod dlq_at;
mod dlq_end;
mod doctor;
mod events;
mod events_at;
mod export;
mod generate;
mod import;
mod kind;
mod log_args;
mod log_source;
mod node;
mod order;
mod order_operate;
mod order_scan;
mod order_send;
mod order_watch;
mod parked;
mod parked_at;
mod parked_end;
mod participants;
mod partition;
mod place;
mod publish;
mod reconcile;
mod repair;
mod restore;
mod run;
mod serve;
mod tenant;
mod verify;
mod version;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use retailflow_config::Loaded;

use retailflow_server::exit::Failure;
pub(crate) use retailflow_server::exit::print;

const EXAMPLES: &str = "\
Examples:
  A CSV file of orders becomes commands, and these are run on a data directory:
    retailflow import --csv orders.csv --tenant shop --order-column id --customer-column customer \\
        --quantity-column quantity --amount-column amount --amount-unit major > commands.jsonl
    retailflow run --commands commands.jsonl --data data --outcomes outcomes.jsonl

  One order as it stands, and whether all of the log is in order:
    retailflow order show shop 1001 --data data
    retailflow verify --data data

  A server, and an order at it:
    retailflow serve --data data
    retailflow order place shop 1002 --customer 7 --currency USD --line cd:1:1177 --server http://127.0.0.1:8080

  Every setting, and where its value came from:
    retailflow config show

Exit codes: 0 fine, 1 something was found, 2 usage, 3 unreachable, 4 refused.";

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "retailflow",
    about = "Processes orders: each command gets exactly one outcome, given only when it is safe on disk",
    version = version::text(),
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(clap::Args, Debug)]
pub(crate) struct Global {
    /// A configuration file (TOML); `retailflow config show` lists what can stand in it
    #[arg(
        long,
        global = true,
        env = "RETAILFLOW_CONFIG",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over file and environment, as in `--set log.partitions=8`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting, help_heading = "Global options")]
    pub(crate) set: Vec<(String, String)>,
    /// Tables for people, JSON for programs
    #[arg(short, long, global = true, default_value = "table", help_heading = "Global options")]
    pub(crate) output: Output,
}

/// The form of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// JSON
    Json,
}

/// What a command is given beside its own arguments.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration and where each value came from.
    pub(crate) config: Loaded,
    /// The form of what is shown.
    pub(crate) output: Output,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Turn a CSV file of orders into commands, one JSON line each, on standard output
    Import(Box<import::Args>),
    /// Make up a mixed load of commands, the same for the same seed, one JSON line each
    Generate(generate::Args),
    /// Run commands on a data directory: one outcome for each
    Run(run::Args),
    /// Serve: commands and reads over HTTP, until it is stopped
    Serve(serve::Args),
    /// Publish commands to a cluster in bulk, each order's in their order; a second run goes on where one ended
    Publish(publish::Args),
    /// Run simulated stock, payments and shipping for all nodes of a cluster, until it is stopped
    Participants(participants::Args),
    /// Check every checksum, chain, transition and total of a data directory, or of a server while it runs
    Verify(verify::Args),
    /// Ask the participants, key by key, for the steps that the log says were done, and name each difference
    Reconcile(reconcile::Args),
    /// Cut what `verify` finds broken and cannot be read, after telling what would be lost
    Repair(repair::Args),
    /// Give what happened to the orders as public events, one JSON line each
    Events(events::Args),
    /// Write the records of a data directory, or of a running server, as JSON lines
    Export(export::Args),
    /// Make a data directory from what `export` or `backup` wrote
    Restore(restore::Args),
    /// Back up a running server; check a backup
    #[command(subcommand)]
    Backup(backup::Args),
    /// Look at one order; place, cancel, return and watch one at a server
    #[command(subcommand)]
    Order(order::Args),
    /// Look at parked orders and the commands that wait behind them
    #[command(subcommand)]
    Parked(parked::Args),
    /// Look at dead letters, which belong to no order; publish them again, or close them
    #[command(subcommand)]
    Dlq(dlq::Args),
    /// Look at tenants and set them
    #[command(subcommand)]
    Tenant(tenant::Args),
    /// Look at a cluster of many nodes
    #[command(subcommand)]
    Cluster(cluster::Args),
    /// Say what is wrong with a cluster, and how to mend it
    Doctor(doctor::Args),
    /// Look at the nodes of a cluster, and empty one
    #[command(subcommand)]
    Node(node::Args),
    /// Look at the partitions of a cluster, and put one somewhere
    #[command(subcommand)]
    Partition(partition::Args),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Args),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Args),
}

/// Runs a command.
pub(crate) fn dispatch(command: Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Import(args) => import::exec(*args, context),
        Command::Generate(args) => generate::exec(args, context),
        Command::Run(args) => run::exec(args, context),
        Command::Serve(args) => serve::exec(args, context),
        Command::Publish(args) => publish::exec(args, context),
        Command::Participants(args) => participants::exec(args, context),
        Command::Verify(args) => verify::exec(args, context),
        Command::Reconcile(args) => reconcile::exec(args, context),
        Command::Repair(args) => repair::exec(args, context),
        Command::Events(args) => events::exec(args, context),
        Command::Export(args) => export::exec(args, context),
        Command::Restore(args) => restore::exec(args, context),
        Command::Backup(args) => backup::exec(args, context),
        Command::Order(args) => order::exec(args, context),
        Command::Parked(args) => parked::exec(args, context),
        Command::Dlq(args) => dlq::exec(args, context),
        Command::Tenant(args) => tenant::exec(args, context),
        Command::Cluster(args) => cluster::exec(args, context),
        Command::Doctor(args) => doctor::exec(args, context),
        Command::Node(args) => node::exec(args, context),
        Command::Partition(args) => partition::exec(args, context),
        Command::Config(args) => config::exec(args, context),
        Command::Bench(args) => bench::exec(args, context),
    }
}

/// What a verb has done, in the form that was asked for.
pub(crate) fn told(shown: &serde_json::Value, text: String, output: Output) -> String {
    match output {
        Output::Json => format!("{shown:#}\n"),
        Output::Table => text,
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as log.partitions=8")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_key_and_value() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(setting("log.partitions=8"), pair("log.partitions", "8"));
        assert_eq!(setting("telemetry.log=a=debug"), pair("telemetry.log", "a=debug"));
        assert!(setting("log.partitions").is_err());
    }
}
