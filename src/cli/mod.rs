//! The command line: which verbs there are. Each is a folder or file of its own beside this one, with its arguments and its `exec`.
//!
//! Standard output is for what a command gives, standard error for what it says about it. What goes to standard output
//! goes through [`print()`], never through `println!`: a reader that has gone is no panic.

pub(crate) mod cluster_args;
mod context;
pub(crate) mod data;
pub(crate) mod kind;
pub(crate) mod log_args;
pub(crate) mod log_source;
pub(crate) mod place;

use clap::{Parser, Subcommand};
use retailflow_server::exit::Failure;

pub(crate) use self::context::{Context, Global, Output, print, render};

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
    version = crate::version::text(),
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

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Turn a CSV file of orders into commands, one JSON line each, on standard output
    Import(Box<crate::import::verb::Args>),
    /// Make up a mixed load of commands, the same for the same seed, one JSON line each
    Generate(crate::generate::Args),
    /// Run commands on a data directory: one outcome for each
    Run(crate::run::verb::Args),
    /// Serve: commands and reads over HTTP, until it is stopped
    Serve(crate::serve::Args),
    /// Publish commands to a cluster in bulk, each order's in their order; a second run goes on where one ended
    Publish(crate::publish::verb::Args),
    /// Run simulated stock, payments and shipping for all nodes of a cluster, until it is stopped
    Participants(crate::participants::Args),
    /// Check every checksum, chain, transition and total of a data directory, or of a server while it runs
    Verify(crate::verify::verb::Args),
    /// Ask the participants, key by key, for the steps that the log says were done, and name each difference
    Reconcile(crate::verify::reconcile::Args),
    /// Cut what `verify` finds broken and cannot be read, after telling what would be lost
    Repair(crate::repair::verb::Args),
    /// Give what happened to the orders as public events, one JSON line each
    Events(crate::events::args::Args),
    /// Write the records of a data directory, or of a running server, as JSON lines
    Export(crate::export::verb::Args),
    /// Make a data directory from what `export` or `backup` wrote
    Restore(crate::restore::Args),
    /// Back up a running server; check a backup
    #[command(subcommand)]
    Backup(crate::backup::verb::Args),
    /// Look at one order; place, cancel, return and watch one at a server
    #[command(subcommand)]
    Order(crate::order::verb::Args),
    /// Look at parked orders and the commands that wait behind them
    #[command(subcommand)]
    Parked(crate::parked::verb::Args),
    /// Look at dead letters, which belong to no order; publish them again, or close them
    #[command(subcommand)]
    Dlq(crate::dlq::verb::Args),
    /// Look at tenants and set them
    #[command(subcommand)]
    Tenant(crate::tenant::Args),
    /// Look at a cluster of many nodes
    #[command(subcommand)]
    Cluster(crate::cluster_report::cluster_verb::Args),
    /// Say what is wrong with a cluster, and how to mend it
    Doctor(crate::doctor::verb::Args),
    /// Look at the nodes of a cluster, and empty one
    #[command(subcommand)]
    Node(crate::cluster_report::node_verb::Args),
    /// Look at the partitions of a cluster, and put one somewhere
    #[command(subcommand)]
    Partition(crate::cluster_report::partition_verb::Args),
    /// Look at the configuration
    #[command(subcommand)]
    Config(crate::config::Args),
    /// Measure
    #[command(subcommand)]
    Bench(crate::bench::verb::Args),
}

/// Runs a command.
pub(crate) fn dispatch(command: Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Import(args) => crate::import::verb::exec(*args, context),
        Command::Generate(args) => crate::generate::exec(args, context),
        Command::Run(args) => crate::run::verb::exec(args, context),
        Command::Serve(args) => crate::serve::exec(args, context),
        Command::Publish(args) => crate::publish::verb::exec(args, context),
        Command::Participants(args) => crate::participants::exec(args, context),
        Command::Verify(args) => crate::verify::verb::exec(args, context),
        Command::Reconcile(args) => crate::verify::reconcile::exec(args, context),
        Command::Repair(args) => crate::repair::verb::exec(args, context),
        Command::Events(args) => crate::events::verb::exec(args, context),
        Command::Export(args) => crate::export::verb::exec(args, context),
        Command::Restore(args) => crate::restore::exec(args, context),
        Command::Backup(args) => crate::backup::verb::exec(args, context),
        Command::Order(args) => crate::order::verb::exec(args, context),
        Command::Parked(args) => crate::parked::verb::exec(args, context),
        Command::Dlq(args) => crate::dlq::verb::exec(args, context),
        Command::Tenant(args) => crate::tenant::exec(args, context),
        Command::Cluster(args) => crate::cluster_report::cluster_verb::exec(args, context),
        Command::Doctor(args) => crate::doctor::verb::exec(args, context),
        Command::Node(args) => crate::cluster_report::node_verb::exec(args, context),
        Command::Partition(args) => crate::cluster_report::partition_verb::exec(args, context),
        Command::Config(args) => crate::config::exec(args, context),
        Command::Bench(args) => crate::bench::verb::exec(args, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
