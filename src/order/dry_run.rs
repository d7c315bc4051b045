//! What a server said to a dry run, for people.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::money::Amount;
use retailflow_engine::wire::dry_run::{MoneyPreview, Preview};
use retailflow_engine::wire::problem::Problem;
use retailflow_engine::wire::{Outcome, Status};
use serde::Deserialize;

use crate::client::Answer;
use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// The parameter that asks for one.
pub(crate) const QUERY: &str = "?dry_run=true";

/// Refuses to call an answer one to a dry run that does not say so: an older server knows none, and did what it was sent.
///
/// # Errors
/// A [`Failure`] that says so.
pub(crate) fn check(answer: &Answer, name: &OrderRef) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Marked {
        #[serde(default)]
        dry_run: bool,
    }
    let decided = matches!(answer.status, 200 | 202 | 422);
    if !decided || serde_json::from_str::<Marked>(&answer.body).is_ok_and(|marked| marked.dry_run) {
        return Ok(());
    }
    let text = format!("the server knows no dry runs, and decided the command: look at order {name}");
    Err(Failure::finding(text))
}

/// A decision that was only looked at, in lines.
///
/// # Errors
/// A [`Failure`] where the answer has another form.
pub(crate) fn text(answer: &Answer, name: &OrderRef) -> Result<String, Failure> {
    let (status, outcome) = match answer.status {
        422 => {
            let problem: Problem = answer.read()?;
            (problem.outcome_status, (answer.why(), problem.version, problem.replayed, problem.preview))
        }
        _ => {
            let Outcome { status, message, version, replayed, preview, .. } = answer.read()?;
            (status, (message, version, replayed, preview))
        }
    };
    let (message, version, replayed, preview) = outcome;
    let would = match (replayed, status) {
        (true, _) => format!("was {status} before, under this id: the same would be answered again"),
        (false, Status::Parked) => "would be kept behind the parked order".to_owned(),
        (false, _) => format!("would be {status}"),
    };
    let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
    let mut text = format!("dry run of {name}: {would}{version}: {message}\n");
    if let Some(preview) = preview {
        text.push_str(&shown(&preview)?);
    }
    Ok(text)
}

fn shown(preview: &Preview) -> Result<String, Failure> {
    let step = preview.step.map(|step| format!(", next step {}", step.as_str())).unwrap_or_default();
    let mut text = format!("order      {}{step}\n", preview.order_status.as_str());
    text.push_str(&format!("money      {}\n", money(&preview.money)));
    for event in &preview.events {
        let data = serde_json::to_string(&event.data);
        let data = data.or_exit(ExitStatus::Unreachable, || "cannot show an event")?;
        text.push_str(&format!("event      {} {data}\n", event.data.kind()));
    }
    if preview.events.is_empty() {
        text.push_str("event      none\n");
    }
    Ok(text)
}

fn money(money: &MoneyPreview) -> String {
    let amount = |minor: Amount| format!("{} {}", minor.to_major(money.currency), money.currency.code());
    let moves = [
        ("authorizes", money.authorize_minor),
        ("gives up the authorization of", money.void_minor),
        ("pays back", money.refund_minor),
    ];
    let moves = moves.iter().filter_map(|(what, minor)| Some(format!("{what} {}", amount((*minor)?))));
    let moves: Vec<String> = moves.collect();
    let decided = if moves.is_empty() { "moves none".to_owned() } else { moves.join(", ") };
    format!("{decided}; {} is left to be paid back later", amount(money.left_to_refund_minor))
}
