//! `retailflow order resume`, `resolve-step`, `compensate`, `archive` and `restore`: what an operator has done to one
//! order, at the operators' door. It is recorded with their name.

use clap::ValueEnum;
use retailflow_engine::wire::CommandType;
use retailflow_engine::wire::command::{ResolvedAs, Step};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::cli::place::AdminArgs;
use crate::order::send::{At, HeadArgs, send_at};
use retailflow_server::exit::Failure;

/// Longest name of an operator that a server records.
const OPERATOR_MAX_CHARS: usize = 64;

/// What every operator's command has.
#[derive(clap::Args, Debug)]
pub(crate) struct OperatorArgs {
    #[command(flatten)]
    pub(crate) head: HeadArgs,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", env = "RETAILFLOW_OPERATOR", value_parser = operator)]
    pub(crate) operator: String,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// The arguments of those that need nothing more.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example, of `resume`; the others are like it:
  retailflow order resume shop 1001 --operator ann --reason 'the card works again' --admin http://127.0.0.1:8081

Exit codes: 1 the command was rejected, 3 no answer, 4 refused.")]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// The arguments of `order resolve-step`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  retailflow order resolve-step shop 1001 --step capture --as done --evidence 'bank statement of May 3' \\
      --operator ann --admin http://127.0.0.1:8081

Exit codes: 1 the command was rejected, 3 no answer, 4 refused.")]
pub(crate) struct ResolveStep {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    /// Which step, as `order show` names it
    #[arg(long, value_name = "STEP", value_parser = step)]
    pub(crate) step: Step,
    /// How it ended
    #[arg(long = "as", value_name = "END")]
    pub(crate) ended: End,
    /// How you know
    #[arg(long, value_name = "TEXT")]
    pub(crate) evidence: String,
    /// Which one of several, as `order show` names it: p2 the second payment's, r1 the first return's
    #[arg(long, value_name = "PART")]
    pub(crate) part: Option<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// It was done
    Done,
    /// It was not done
    NotDone,
}

pub(crate) fn step(text: &str) -> Result<Step, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

/// A name that a server records: it goes there in a header.
pub(crate) fn operator(name: &str) -> Result<String, String> {
    let fits = !name.trim().is_empty()
        && name.len() <= OPERATOR_MAX_CHARS
        && name.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    fits.then(|| name.to_owned())
        .ok_or_else(|| format!("a name has 1 to {OPERATOR_MAX_CHARS} characters of printable ASCII"))
}

/// Runs all but `order resolve-step`.
pub(crate) fn act(args: &Act, kind: CommandType, output: Output) -> Result<(), Failure> {
    let data = match &args.reason {
        Some(reason) => json!({"reason": reason}),
        None => json!({}),
    };
    send(&args.operator, kind, &data, output)
}

/// Runs `order resolve-step`.
pub(crate) fn resolve_step(args: &ResolveStep, output: Output) -> Result<(), Failure> {
    let ended = match args.ended {
        End::Done => ResolvedAs::Done,
        End::NotDone => ResolvedAs::NotDone,
    };
    let mut data = json!({"step": args.step.as_str(), "as": ended.as_str(), "evidence": args.evidence});
    if let Some(part) = &args.part {
        data["part"] = part.as_str().into();
    }
    send(&args.operator, CommandType::ResolveStep, &data, output)
}

fn send(args: &OperatorArgs, kind: CommandType, data: &Value, output: Output) -> Result<(), Failure> {
    send_at(&At::Operator(args.admin.open()?, &args.operator), &args.head, kind, data.to_string(), output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_steps_are_what_a_server_takes() {
        assert_eq!(operator("Ann B."), Ok("Ann B.".to_owned()));
        for wrong in ["", " ", "\u{e9}", "a\nb", &"a".repeat(OPERATOR_MAX_CHARS + 1)] {
            assert!(operator(wrong).unwrap_err().contains("printable ASCII"), "{wrong:?}");
        }
        assert_eq!(step("cancel_shipment"), Ok(Step::CancelShipment));
        assert!(step("pay").unwrap_err().contains("capture"));
    }
}
