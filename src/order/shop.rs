//! `retailflow order hold` and `release-hold`: what shops do beside, sent to a server until there is an outcome.

use retailflow_engine::wire::CommandType;
use serde_json::json;

use crate::cli::Output;
use crate::order::send::{CommandArgs, send};
use retailflow_server::exit::Failure;

/// The arguments of `order hold`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order hold shop 1001 --name fraud --reason 'a new address' --until 2026-12-04T12:00:00Z --server http://127.0.0.1:8080

No step is begun while a hold stands; a cancel still pays back. It ends by `retailflow order release-hold`, never by itself.
Exit codes: 1 the command was rejected (the order has ended, say), 3 no answer, 4 refused.")]
pub(crate) struct HoldOrder {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// Names the hold within the order
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Until when somebody means to have looked; from then on the order asks for attention
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// The arguments of `order release-hold`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order release-hold shop 1001 --name fraud --reason 'all is well' --server http://127.0.0.1:8080

Exit codes: 1 the command was rejected (there is no such hold, say), 3 no answer, 4 refused.")]
pub(crate) struct ReleaseHold {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// Which hold
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// Runs `order hold`.
pub(crate) fn hold(args: &HoldOrder, output: Output) -> Result<(), Failure> {
    let mut data = json!({"name": args.name, "reason": args.reason});
    if let Some(until) = &args.until {
        data["until"] = json!(until);
    }
    send(&args.command, CommandType::Hold, data.to_string(), output)
}

/// Runs `order release-hold`.
pub(crate) fn release_hold(args: &ReleaseHold, output: Output) -> Result<(), Failure> {
    let mut data = json!({"name": args.name});
    if let Some(reason) = &args.reason {
        data["reason"] = json!(reason);
    }
    send(&args.command, CommandType::ReleaseHold, data.to_string(), output)
}
