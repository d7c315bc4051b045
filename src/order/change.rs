//! `retailflow order amend`: an order is changed before its goods are booked, at a server.

use retailflow_engine::wire::CommandType;
use serde_json::{Value, json};

use crate::cli::Output;
use crate::order::money::means;
use crate::order::send::{CommandArgs, ordered, returned, send};
use retailflow_server::exit::Failure;

/// The arguments of `order amend`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  retailflow order amend shop 1001 --line 1:2 --reason 'one is enough' --server http://127.0.0.1:8080
  retailflow order amend shop 1001 --add-line 3:cd:1:1177 --reason 'one more' --context production --dry-run
  retailflow order amend shop 1001 --delivery express --address adr_9 --note 'ring twice' --reason 'moved' --context production

Exit codes: 1 the command was rejected (its goods may be booked already), 3 no answer, 4 refused (a step is in flight, say).")]
pub(crate) struct AmendOrder {
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// How many units a line has from now on, 0 to take it out, and its amount in minor units; may be repeated. Without an
    /// amount its price by unit stays
    #[arg(long, value_name = "LINE_ID:QUANTITY[:AMOUNT]", value_parser = changed)]
    pub(crate) line: Vec<(String, u64, Option<u64>)>,
    /// What is ordered in addition; may be repeated. Amounts are of the whole line, in minor units
    #[arg(long, value_name = "LINE_ID:SKU:QUANTITY:AMOUNT", value_parser = added)]
    pub(crate) add_line: Vec<(String, String, u64, u64)>,
    /// How a higher price is paid, in minor units; may be repeated. Left out: as the last payment
    #[arg(long, value_name = "PAYMENT_ID:TOKEN_REF:MINOR", value_parser = means)]
    pub(crate) payment: Vec<(String, String, u64)>,
    /// The way of shipping from now on
    #[arg(long, value_name = "METHOD")]
    pub(crate) delivery: Option<String>,
    /// Refers to the address from now on
    #[arg(long, value_name = "ADDRESS_REF", requires = "delivery")]
    pub(crate) address: Option<String>,
    /// Free data that is added or changed; an empty text takes it out. May be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = named)]
    pub(crate) attribute: Vec<(String, String)>,
    /// A note for people who look at the order
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

fn changed(text: &str) -> Result<(String, u64, Option<u64>), String> {
    let expected = || "expected LINE_ID:QUANTITY or LINE_ID:QUANTITY:AMOUNT, such as 1:2:2354".to_owned();
    if let Ok((line_id, quantity, amount)) = ordered(text) {
        return Ok((line_id, quantity, Some(amount)));
    }
    let (line_id, quantity) = returned(text).map_err(|_| expected())?;
    Ok((line_id, quantity, None))
}

pub(crate) fn added(text: &str) -> Result<(String, String, u64, u64), String> {
    let expected = || "expected LINE_ID:SKU:QUANTITY:AMOUNT, such as 3:cd:1:1177".to_owned();
    let (line_id, rest) = text.split_once(':').filter(|(id, _)| !id.is_empty()).ok_or_else(expected)?;
    let (sku, quantity, amount) = ordered(rest).map_err(|_| expected())?;
    Ok((line_id.to_owned(), sku, quantity, amount))
}

fn named(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, text) = found.ok_or("expected NAME=TEXT, such as gift=yes")?;
    Ok((name.to_owned(), text.to_owned()))
}

/// Runs `order amend`.
pub(crate) fn amend(args: &AmendOrder, output: Output) -> Result<(), Failure> {
    let mut data = json!({"reason": args.reason});
    let line = |(line_id, quantity, amount): &(String, u64, Option<u64>)| match amount {
        Some(amount) => json!({"line_id": line_id, "quantity": quantity, "amount_minor": amount}),
        None => json!({"line_id": line_id, "quantity": quantity}),
    };
    let added = |(line_id, sku, quantity, amount): &(String, String, u64, u64)| json!({"line_id": line_id, "sku": sku, "quantity": quantity, "amount_minor": amount});
    let payment = |(id, token, minor): &(String, String, u64)| json!({"payment_id": id, "token_ref": token, "amount_minor": minor});
    let lists: [(&str, Vec<Value>); 3] = [
        ("lines", args.line.iter().map(line).collect()),
        ("add_lines", args.add_line.iter().map(added).collect()),
        ("payments", args.payment.iter().map(payment).collect()),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        data[name] = json!(list);
    }
    if let Some(method) = &args.delivery {
        data["delivery"] = json!({"method": method});
    }
    if let Some(address) = &args.address {
        data["delivery"]["address_ref"] = json!(address);
    }
    for (name, text) in &args.attribute {
        data["attributes"][name] = json!(text);
    }
    if let Some(note) = &args.note {
        data["note"] = json!(note);
    }
    send(&args.command, CommandType::Amend, data.to_string(), output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_and_without_an_amount() {
        assert_eq!(changed("1:2"), Ok(("1".to_owned(), 2, None)));
        assert_eq!(changed("1:0:0"), Ok(("1".to_owned(), 0, Some(0))));
        assert_eq!(added("3:a:b:1:1177"), Ok(("3".to_owned(), "a:b".to_owned(), 1, 1177)));
        assert!(changed("1").is_err() && added("3:cd:1").is_err() && named("=x").is_err());
    }
}
