//! `retailflow order exchange`: units come back and others are ordered in their place, at a server.

use retailflow_engine::wire::CommandType;
use serde_json::{Value, json};

use crate::cli::Output;
use crate::order::change::added;
use crate::order::money::means;
use crate::order::send::{CommandArgs, returned, send};
use retailflow_server::exit::Failure;

/// The arguments of `order exchange`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order exchange shop 1001 --line 1:1 --add-line 3:cd:1:1177 --reason 'too small' --server http://127.0.0.1:8080
  retailflow order exchange shop 1001 --line 1:1 --add-line 3:cd:1:1177 --reason 'too small' --context production --dry-run

What comes back pays for what goes out; the difference is paid, or paid back.
Exit codes: 1 the command was rejected, 3 no answer, 4 refused.")]
pub(crate) struct ExchangeLines {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// What comes back; may be repeated
    #[arg(long, value_name = "LINE_ID:QUANTITY", value_parser = returned, required = true)]
    pub(crate) line: Vec<(String, u64)>,
    /// What is ordered in its place; may be repeated. Amounts are of the whole line, in minor units
    #[arg(long, value_name = "LINE_ID:SKU:QUANTITY:AMOUNT", value_parser = added, required = true)]
    pub(crate) add_line: Vec<(String, String, u64, u64)>,
    /// How a difference is paid, in minor units; may be repeated. Left out: as the last payment
    #[arg(long, value_name = "PAYMENT_ID:TOKEN_REF:MINOR", value_parser = means)]
    pub(crate) payment: Vec<(String, String, u64)>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// Runs `order exchange`.
pub(crate) fn exchange(args: &ExchangeLines, output: Output) -> Result<(), Failure> {
    let back = |(line_id, quantity): &(String, u64)| json!({"line_id": line_id, "quantity": quantity});
    let added = |(line_id, sku, quantity, amount): &(String, String, u64, u64)| json!({"line_id": line_id, "sku": sku, "quantity": quantity, "amount_minor": amount});
    let payment = |(id, token, minor): &(String, String, u64)| json!({"payment_id": id, "token_ref": token, "amount_minor": minor});
    let lines: Vec<Value> = args.line.iter().map(back).collect();
    let add_lines: Vec<Value> = args.add_line.iter().map(added).collect();
    let mut data = json!({"lines": lines, "add_lines": add_lines, "reason": args.reason});
    if !args.payment.is_empty() {
        data["payments"] = args.payment.iter().map(payment).collect();
    }
    send(&args.command, CommandType::Exchange, data.to_string(), output)
}
