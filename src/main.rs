//! RetailFlow: a durable order-processing engine, as one binary.
//!
//! Reads the command line and the configuration, starts logging, runs the command, and turns how it ended into an exit
//! code. What is put together how stands in `app`, the commands in `cli`.

mod absent;
mod audit;
mod backup;
mod bench;
mod cli;
mod client;
mod cluster_report;
mod config;
mod dlq;
mod doctor;
mod events;
mod export;
mod generate;
mod import;
mod order;
mod parked;
mod participants;
mod publish;
mod repair;
mod restore;
mod run;
mod serve;
mod tenant;
mod verify;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use retailflow_config::{Config, LoadOptions};

use crate::cli::{Cli, Context, Global};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Why not the system's: ADR 16.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What is written is about customers: the owner's alone, whatever the umask that the process was started with. Before
    // any file is made, so that it holds for those of libraries as well.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            // Help asked for is no error. Whoever reads it may have gone.
            let _ = said.print();
            let code = if said.use_stderr() { ExitStatus::Usage } else { ExitStatus::Fine };
            return code.into();
        }
    };
    match context(global).and_then(|context| cli::dispatch(command, context)) {
        Ok(()) => ExitStatus::Fine.into(),
        Err(failure) => {
            if failure.error.is_some() {
                let _ = writeln!(std::io::stderr(), "error: {failure}");
            }
            failure.code.into()
        }
    }
}

/// Reads the configuration and starts logging: nothing else happens before both are known to be good.
fn context(global: Global) -> Result<Context, Failure> {
    let options =
        LoadOptions { file: global.config, overrides: global.set, ..LoadOptions::from_process_env() };
    let config = Config::load(options).or_exit(
        ExitStatus::Usage,
        || "put the configuration right and try again (`retailflow config show`)",
    )?;
    retailflow_server::telemetry::start(&config.config.telemetry)?;
    Ok(Context { config, output: global.output })
}
