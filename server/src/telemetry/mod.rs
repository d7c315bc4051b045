//! What the process says about itself: log lines on standard error, so that standard output stays the command's.

pub mod otlp;
pub mod sparing;

use std::io::{self, IsTerminal};

use retailflow_config::{LogFormat, Telemetry};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use self::sparing::Sparing;
use crate::exit::{ExitStatus, Failure, OrExit};

/// Starts logging as `[telemetry]` says. Called once, before anything logs.
pub fn start(config: &Telemetry) -> Result<(), Failure> {
    // The client of NATS tells of each connection; what matters of them we tell ourselves.
    let quiet = if config.log.contains("async_nats") { "" } else { ",async_nats=warn" };
    let why = || {
        format!(
            "telemetry.log = {:?} is neither a level (error, warn, info, debug, trace) nor directives such as \
             \"info,retailflow_nats=debug\"",
            config.log
        )
    };
    // A word that is no level names a part of the program, and nothing else would be told any more: a slip of the pen.
    let mut words = config.log.split(',').map(str::trim).filter(|word| !word.contains('='));
    if words.any(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(Failure::usage(why()));
    }
    let parsed = EnvFilter::builder().parse(format!("{}{quiet}", config.log));
    let filter = parsed.or_exit(ExitStatus::Usage, why)?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter.and(Sparing)));
    let started = registry.with(otlp::layer(config)?).try_init();
    started.map_err(|error| Failure::new(ExitStatus::Usage, anyhow::anyhow!("cannot start logging: {error}")))
}
