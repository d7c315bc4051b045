//! `retailflow order refund` and `pay`: money without goods, sent to a server until there is an outcome.

use retailflow_engine::wire::CommandType;
use serde_json::{Value, json};

use crate::cli::Output;
use crate::order::send::{CommandArgs, send};
use retailflow_server::exit::Failure;

/// The arguments of `order refund`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order refund shop 1001 --amount 500 --reason 'late' --server http://127.0.0.1:8080
  retailflow order refund shop 1001 --component shipping=500 --line 1=190 --reason 'late' --context production

Exit codes: 1 the command was rejected (more than was paid, say), 3 no answer, 4 refused.")]
pub(crate) struct RefundMoney {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// How much in all, in minor units, such as cents; left out: what the components and lines add up to
    #[arg(long, value_name = "MINOR", required_unless_present_any = ["component", "line"])]
    pub(crate) amount: Option<u64>,
    /// Of which component of the order; may be repeated
    #[arg(long, value_name = "KIND=MINOR", value_parser = part)]
    pub(crate) component: Vec<(String, u64)>,
    /// Of which line; may be repeated
    #[arg(long, value_name = "LINE_ID=MINOR", value_parser = part)]
    pub(crate) line: Vec<(String, u64)>,
    /// Which payment it goes to; left out: as the tenant's rule has it
    #[arg(long, value_name = "PAYMENT_ID")]
    pub(crate) payment: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// The arguments of `order pay`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order pay shop 1001 --payment card-2:tok_9:1177 --server http://127.0.0.1:8080

Exit codes: 1 the command was rejected (the order waits for no payment, say), 3 no answer, 4 refused.")]
pub(crate) struct PayOrder {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// What is paid how, in minor units; may be repeated. Together they are what is open
    #[arg(long, value_name = "PAYMENT_ID:TOKEN_REF:MINOR", value_parser = means, required = true)]
    pub(crate) payment: Vec<(String, String, u64)>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

fn part(text: &str) -> Result<(String, u64), String> {
    let expected = || "expected NAME=MINOR with a whole number, such as shipping=500".to_owned();
    let (name, minor) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(expected)?;
    Ok((name.to_owned(), minor.parse().map_err(|_| expected())?))
}

pub(crate) fn means(text: &str) -> Result<(String, String, u64), String> {
    let expected = || "expected PAYMENT_ID:TOKEN_REF:MINOR, such as card-2:tok_9:1177".to_owned();
    let (rest, minor) = text.rsplit_once(':').ok_or_else(expected)?;
    let (id, token) = rest
        .split_once(':')
        .filter(|(id, token)| !id.is_empty() && !token.is_empty())
        .ok_or_else(expected)?;
    Ok((id.to_owned(), token.to_owned(), minor.parse().map_err(|_| expected())?))
}

/// Runs `order refund`.
pub(crate) fn refund(args: &RefundMoney, output: Output) -> Result<(), Failure> {
    let parts = args.component.iter().chain(&args.line);
    let sum = parts.fold(0, |sum: u64, (_, minor)| sum.saturating_add(*minor));
    let mut data = json!({"amount_minor": args.amount.unwrap_or(sum), "reason": args.reason});
    let component = |(kind, minor): &(String, u64)| json!({"kind": kind, "amount_minor": minor});
    let line = |(line_id, minor): &(String, u64)| json!({"line_id": line_id, "amount_minor": minor});
    if !args.component.is_empty() {
        data["components"] = args.component.iter().map(component).collect();
    }
    if !args.line.is_empty() {
        data["lines"] = args.line.iter().map(line).collect();
    }
    if let Some(payment_id) = &args.payment {
        data["payment_id"] = json!(payment_id);
    }
    send(&args.command, CommandType::Refund, data.to_string(), output)
}

/// Runs `order pay`.
pub(crate) fn pay(args: &PayOrder, output: Output) -> Result<(), Failure> {
    let payment = |(id, token, minor): &(String, String, u64)| json!({"payment_id": id, "token_ref": token, "amount_minor": minor});
    let mut data = json!({"payments": args.payment.iter().map(payment).collect::<Vec<Value>>()});
    if let Some(reason) = &args.reason {
        data["reason"] = json!(reason);
    }
    send(&args.command, CommandType::Pay, data.to_string(), output)
}
