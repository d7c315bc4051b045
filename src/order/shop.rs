//! `retailflow order record`, `hold` and `release-hold`: what shops do beside, sent to a server until there is an outcome.

use retailflow_engine::wire::CommandType;
use serde_json::json;

use crate::cli::Output;
use crate::order::send::{CommandArgs, send};
use retailflow_server::exit::Failure;

/// The arguments of `order record`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order record shop 1001 --kind chargeback --amount 1177 --reference case-9 --server http://127.0.0.1:8080
  retailflow order record shop 1001 --kind loss --amount 500 --reference claim-4 --line 1 --context production

One of a kind and reference is recorded once. What the customer's bank took back is not paid back again.
Exit codes: 1 the command was rejected (it is recorded already, say), 3 no answer, 4 refused.")]
pub(crate) struct RecordFact {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// What happened
    #[arg(long, value_name = "KIND", value_parser = ["chargeback", "loss", "goodwill", "external_payment"])]
    pub(crate) kind: String,
    /// How much, in minor units, such as cents
    #[arg(long, value_name = "MINOR")]
    pub(crate) amount: u64,
    /// What it is called where it happened: the bank's case, the carrier's claim
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) reference: String,
    /// Which payment it is about; a chargeback of an order with several payments must say it
    #[arg(long, value_name = "PAYMENT_ID")]
    pub(crate) payment: Option<String>,
    /// Which line it is about
    #[arg(long, value_name = "LINE_ID")]
    pub(crate) line: Option<String>,
    /// When it happened; left out: when it is recorded
    #[arg(long, value_name = "TIME")]
    pub(crate) happened_at: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

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

/// Runs `order record`.
pub(crate) fn record(args: &RecordFact, output: Output) -> Result<(), Failure> {
    let mut data = json!({"kind": args.kind, "amount_minor": args.amount, "reference": args.reference});
    let optional = [
        ("payment_id", &args.payment),
        ("line_id", &args.line),
        ("happened_at", &args.happened_at),
        ("reason", &args.reason),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            data[name] = json!(value);
        }
    }
    send(&args.command, CommandType::Record, data.to_string(), output)
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
