//! `retailflow order place`, `cancel` and `return`: commands for one order, sent to a server until there is an outcome.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use retailflow_engine::ids::{CommandId, OrderRef, Source};
use retailflow_engine::wire::{CommandType, Outcome};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cli::place::ServerArgs;
use crate::cli::{Output, print};
use crate::client::{Answer, Client, say};
use crate::order::dry_run;
use crate::order::name::{self, NameArgs};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Largest data of a command that is read; the server takes no more.
const DATA_MAX_BYTES: u64 = 1 << 20;

/// What every command has.
#[derive(clap::Args, Debug)]
pub(crate) struct HeadArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    /// The command's id; left out: a new one, which is told. Sent again under the same id, it has the same outcome
    #[arg(long, value_name = "ID", value_parser = CommandId::parse)]
    pub(crate) id: Option<CommandId>,
    /// Who makes the command; ids are unique within a source
    #[arg(long, value_name = "SOURCE", default_value = "/cli", value_parser = Source::parse)]
    pub(crate) source: Source,
    /// Only if the order's version is this one
    #[arg(long, value_name = "N")]
    pub(crate) expected_version: Option<u64>,
    /// Only show what would be decided: outcome, money and events. Nothing is recorded
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a tenant's command has.
#[derive(clap::Args, Debug)]
pub(crate) struct CommandArgs {
    #[command(flatten)]
    pub(crate) head: HeadArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// A server's door for commands, and who stands there.
pub(crate) enum At<'a> {
    /// The tenants' door.
    Tenant(Client),
    /// The operators' door, and the operator's name.
    Operator(Client, &'a str),
}

/// The arguments of `order place`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order place shop 1001 --customer 7 --currency USD --line cd:2:2354 --server http://127.0.0.1:8080
  retailflow order place shop 1001 --data-file order.json --id web-17 --context production

Exit codes: 1 the command was rejected, 3 no answer, 4 refused.")]
pub(crate) struct PlaceOrder {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// The order as JSON, as `data` of a command has it; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present_all = ["customer", "currency", "line"], conflicts_with_all = ["customer", "currency", "line"])]
    pub(crate) data_file: Option<PathBuf>,
    /// Refers to who orders
    #[arg(long, value_name = "CUSTOMER")]
    pub(crate) customer: Option<String>,
    /// What the amounts are in, such as USD
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Option<String>,
    /// What is ordered; may be repeated. Amounts are of the whole line, in minor units, such as cents
    #[arg(long, value_name = "SKU:QUANTITY:AMOUNT", value_parser = ordered)]
    pub(crate) line: Vec<(String, u64, u64)>,
    /// Lines that are delivered by themselves, by their numbers from 1; may be repeated
    #[arg(long, value_name = "LINE[,LINE...]", conflicts_with = "data_file")]
    pub(crate) apart: Vec<String>,
    /// Another order that this one has to do with
    #[arg(long, value_name = "replacement_of|exchange_of:ORDER", value_parser = related, conflicts_with = "data_file")]
    pub(crate) relates_to: Option<(String, String)>,
}

/// The arguments of `order cancel`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order cancel shop 1001 --reason 'changed my mind' --server http://127.0.0.1:8080
  retailflow order cancel shop 1001 --line 1:2 --reason 'too many' --server http://127.0.0.1:8080

Exit codes: 1 the command was rejected (the order may be on its way already), 3 no answer, 4 refused.")]
pub(crate) struct CancelOrder {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// Which units; may be repeated. Left out: the whole order
    #[arg(long, value_name = "LINE_ID:QUANTITY", value_parser = returned)]
    pub(crate) line: Vec<(String, u64)>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// The arguments of `order return`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order return shop 1001 --line 1:1 --reason 'too loud' --server http://127.0.0.1:8080
  retailflow order return shop 1001 --line 1:1 --reason 'too loud' --server http://127.0.0.1:8080 --dry-run
  retailflow order return shop 1001 --line 1:1 --condition 1=broken --no-restock --fee 200 --reason 'fell' --context production

Exit codes: 1 the command was rejected, 3 no answer, 4 refused.")]
pub(crate) struct ReturnLines {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// What comes back; may be repeated
    #[arg(long, value_name = "LINE_ID:QUANTITY", value_parser = returned, required = true)]
    pub(crate) line: Vec<(String, u64)>,
    /// In which condition units of a line came; may be repeated
    #[arg(long, value_name = "LINE_ID=WORD", value_parser = condition)]
    pub(crate) condition: Vec<(String, String)>,
    /// Take nothing of it back into stock
    #[arg(long)]
    pub(crate) no_restock: bool,
    /// Take the units of this line not back into stock; may be repeated
    #[arg(long, value_name = "LINE_ID")]
    pub(crate) no_restock_line: Vec<String>,
    /// What the shop keeps of what would be paid back, in minor units
    #[arg(long, value_name = "MINOR")]
    pub(crate) fee: Option<u64>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

pub(crate) fn ordered(text: &str) -> Result<(String, u64, u64), String> {
    let expected = || "expected SKU:QUANTITY:AMOUNT with whole numbers, such as cd:2:2354".to_owned();
    let (rest, amount) = text.rsplit_once(':').ok_or_else(expected)?;
    let (sku, quantity) = returned(rest).map_err(|_| expected())?;
    Ok((sku, quantity, amount.parse().map_err(|_| expected())?))
}

pub(crate) fn returned(text: &str) -> Result<(String, u64), String> {
    let expected = || "expected LINE_ID:QUANTITY with a whole number, such as 1:2".to_owned();
    let (line, quantity) = text.rsplit_once(':').filter(|(line, _)| !line.is_empty()).ok_or_else(expected)?;
    Ok((line.to_owned(), quantity.parse().map_err(|_| expected())?))
}

fn condition(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(line, word)| !line.is_empty() && !word.is_empty());
    let (line, word) = parts.ok_or("expected LINE_ID=WORD, such as 1=opened")?;
    Ok((line.to_owned(), word.to_owned()))
}

fn related(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').filter(|(_, order)| !order.is_empty());
    let known = parts.filter(|(kind, _)| ["replacement_of", "exchange_of"].contains(kind));
    let (kind, order) = known.ok_or("expected replacement_of:ORDER or exchange_of:ORDER")?;
    Ok((kind.to_owned(), order.to_owned()))
}

/// Runs `order place`.
pub(crate) fn place(args: &PlaceOrder, output: Output) -> Result<(), Failure> {
    let data = match &args.data_file {
        Some(path) => data_of(path)?,
        None => {
            let line = |(at, (sku, quantity, amount)): (usize, &(String, u64, u64))| json!({"line_id": (at + 1).to_string(), "sku": sku, "quantity": quantity, "amount_minor": amount});
            let lines: Vec<Value> = args.line.iter().enumerate().map(line).collect();
            let mut data = json!({"customer": args.customer, "currency": args.currency, "lines": lines});
            if !args.apart.is_empty() {
                let part = |ids: &String| json!({"line_ids": ids.split(',').collect::<Vec<_>>()});
                data["deliveries"] = args.apart.iter().map(part).collect();
            }
            if let Some((kind, order)) = &args.relates_to {
                data["relates_to"] = json!({"kind": kind, "order": order});
            }
            data.to_string()
        }
    };
    send(&args.command, CommandType::Place, data, output)
}

/// Runs `order cancel`.
pub(crate) fn cancel(args: &CancelOrder, output: Output) -> Result<(), Failure> {
    let mut data = json!({"reason": args.reason});
    if !args.line.is_empty() {
        let line = |(line, quantity): &(String, u64)| json!({"line_id": line, "quantity": quantity});
        data["lines"] = args.line.iter().map(line).collect();
    }
    send(&args.command, CommandType::Cancel, data.to_string(), output)
}

/// Runs `order return`.
pub(crate) fn give_back(args: &ReturnLines, output: Output) -> Result<(), Failure> {
    let mut named = args.condition.iter().map(|(line, _)| line).chain(&args.no_restock_line);
    if let Some(unknown) = named.find(|name| !args.line.iter().any(|(line, _)| line == *name)) {
        return Err(Failure::usage(format!("line {unknown} is not among those that come back (--line)")));
    }
    let line = |(line, quantity): &(String, u64)| {
        let mut data = json!({"line_id": line, "quantity": quantity});
        if let Some((_, condition)) = args.condition.iter().find(|(name, _)| name == line) {
            data["condition"] = json!(condition);
        }
        if args.no_restock_line.contains(line) {
            data["restock"] = json!("no");
        }
        data
    };
    let lines: Vec<Value> = args.line.iter().map(line).collect();
    let mut data = json!({"lines": lines, "reason": args.reason});
    if args.no_restock {
        data["restock"] = json!("no");
    }
    if let Some(fee) = args.fee {
        data["fee_minor"] = json!(fee);
    }
    send(&args.command, CommandType::Return, data.to_string(), output)
}

/// The text of a file, which the server will judge: nothing is read into it here and nothing lost.
fn data_of(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let reader: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(File::open(path).or_exit(ExitStatus::Usage, || format!("cannot read {shown}"))?),
    };
    let mut text = String::new();
    let read = reader.take(DATA_MAX_BYTES + 1).read_to_string(&mut text);
    read.or_exit(ExitStatus::Usage, || format!("cannot read {shown}"))?;
    if text.len() as u64 > DATA_MAX_BYTES {
        return Err(Failure::usage(format!("{shown} has more than 1 MiB, which no server takes")));
    }
    Ok(text)
}

/// The command as it is sent.
#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    tenant: &'a str,
    subject: &'a str,
    data: Box<RawValue>,
}

pub(crate) fn send(
    args: &CommandArgs,
    kind: CommandType,
    data: String,
    output: Output,
) -> Result<(), Failure> {
    send_at(&At::Tenant(args.server.open()?), &args.head, kind, data, output)
}

/// Sends a command until it has an outcome, and tells it.
pub(crate) fn send_at(
    at: &At<'_>,
    args: &HeadArgs,
    kind: CommandType,
    data: String,
    output: Output,
) -> Result<(), Failure> {
    let name = args.name.full();
    let id = match &args.id {
        Some(id) => id.as_str().to_owned(),
        None => {
            let id = format!("cli-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
            if !args.dry_run {
                // Before it is sent: after a power cut here, this is all that tells whether it was done.
                say(format!("command id: {id} (`--id {id}` sends it again, with one outcome)"));
            }
            id
        }
    };
    let envelope = Envelope {
        specversion: "1.0",
        id: &id,
        source: args.source.as_str(),
        kind: kind.as_str(),
        tenant: name.tenant.as_str(),
        subject: name.order.as_str(),
        data: with_version(data, args.expected_version)?,
    };
    let body = serde_json::to_string(&envelope).or_exit(ExitStatus::Usage, || "cannot write the command")?;
    let query = if args.dry_run { dry_run::QUERY } else { "" };
    let path = |door: &str| format!("{door}{}/commands{query}", name::path(&name));
    let answer = match at {
        At::Tenant(client) => client.post(&path("/v1"), &body, None)?,
        At::Operator(client, operator) => client.post(&path("/v1/admin"), &body, Some(operator))?,
    };
    if args.dry_run {
        dry_run::check(&answer, &name)?;
    }
    tell(&answer, &name, args.dry_run, output)
}

/// The data with the version that is expected. What is given twice, the server refuses.
fn with_version(data: String, version: Option<u64>) -> Result<Box<RawValue>, Failure> {
    let data = data.trim().to_owned();
    let wrong = || "the data must be one JSON object, as `data` of a command has it";
    if !data.starts_with('{') {
        return Err(Failure::usage(wrong()));
    }
    let text = match version {
        None => data,
        Some(version) => {
            let rest = data[1..].trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            format!("{{\"expected_version\":{version}{comma}{rest}")
        }
    };
    RawValue::from_string(text).or_exit(ExitStatus::Usage, wrong)
}

fn tell(answer: &Answer, name: &OrderRef, dry_run: bool, output: Output) -> Result<(), Failure> {
    let decided = matches!(answer.status, 200 | 202 | 422);
    if output == Output::Json {
        print(&format!("{}\n", answer.body))?;
    } else if decided && dry_run {
        print(&dry_run::text(answer, name)?)?;
    } else if answer.status == 422 {
        print(&format!("rejected {name}: {}\n", answer.why()))?;
    } else if decided {
        let outcome: Outcome = answer.read()?;
        let version = outcome.version.map(|version| format!(", version {version}")).unwrap_or_default();
        let replayed = if outcome.replayed { " (the first outcome, given again)" } else { "" };
        print(&format!("{} {name}{version}{replayed}: {}\n", outcome.status.as_str(), outcome.message))?;
    }
    match answer.status {
        200 | 202 => Ok(()),
        422 => Err(Failure::reported(ExitStatus::Finding)),
        404 => Err(Failure::refused(answer.why())),
        _ => Err(answer.refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_from_the_right() {
        assert_eq!(ordered("a:b:2:30"), Ok(("a:b".to_owned(), 2, 30)));
        assert_eq!(returned("1:2"), Ok(("1".to_owned(), 2)));
        for wrong in ["", "cd", "cd:1", "cd:x:1", "cd:1:1.5", ":1:1"] {
            assert!(ordered(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_version_is_added_and_the_rest_left_as_it_is() {
        let text = |data: &str, version| with_version(data.to_owned(), version).unwrap().get().to_owned();
        assert_eq!(text(" {\"a\": 1}\n", None), "{\"a\": 1}");
        assert_eq!(text("{\"a\": 1}", Some(3)), "{\"expected_version\":3,\"a\": 1}");
        assert_eq!(text("{ }", Some(3)), "{\"expected_version\":3}");
        for wrong in ["[]", "", "{", "{} {}"] {
            assert_eq!(with_version(wrong.to_owned(), Some(1)).unwrap_err().code, ExitStatus::Usage);
        }
    }
}
