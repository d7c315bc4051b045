//! What people do to an order by hand: any command but its placement. What it would come to is shown first; only the page that shows it
//! has the button that carries it out, and the command's id stands in it, so that it is carried out once however often it is pressed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use maud::{Markup, html};
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, Source};
use retailflow_engine::keys::hex;
use retailflow_engine::order::Actor;
use retailflow_engine::wire::dry_run::Preview;
use retailflow_engine::wire::{Code, CommandEvent, CommandType, Outcome, Status, decode_data};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::html::{fact, link, path};
use super::page::Page;
use super::params::{is_form, non_empty_params};
use super::words::{act_path, money, order_path};
use crate::answer::Refusal;
use crate::edge::Shared;
use crate::path::{self as names, Names};
use crate::query::Query;
use crate::{body, headers};

/// Who makes commands of the console: their ids are unique within it.
const SOURCE: &str = "/console";
const FIELDS: [&str; 5] = ["verb", "data", "operator", "id", "do"];
/// What the button says that carries the command out.
const CARRY_OUT: &str = "carry-out";

/// The commands, in the order in which they are offered.
pub(super) fn offered() -> impl Iterator<Item = CommandType> {
    CommandType::ALL.iter().copied().filter(|kind| *kind != CommandType::Place)
}

/// What a command says, to be filled in.
const fn template(kind: CommandType) -> &'static str {
    match kind {
        CommandType::Place => "{}",
        CommandType::Cancel => r#"{"reason": ""}"#,
        CommandType::Return => r#"{"lines": [{"line_id": "1", "quantity": 1}], "reason": ""}"#,
        CommandType::Report => r#"{"step": "", "reference": "", "outcome": "done", "reason": ""}"#,
        CommandType::Resume | CommandType::Compensate | CommandType::Archive | CommandType::Restore => {
            r#"{"reason": ""}"#
        }
        CommandType::ResolveStep => r#"{"step": "", "as": "done", "evidence": ""}"#,
        CommandType::Refund => r#"{"amount_minor": 0, "reason": ""}"#,
        CommandType::Hold => r#"{"name": "", "reason": ""}"#,
        CommandType::ReleaseHold => r#"{"name": "", "reason": ""}"#,
        CommandType::Pay => {
            r#"{"payments": [{"payment_id": "", "token_ref": "", "amount_minor": 0}], "reason": ""}"#
        }
        CommandType::Amend => r#"{"lines": [{"line_id": "1", "quantity": 1}], "reason": ""}"#,
        CommandType::Exchange => {
            r#"{"lines": [{"line_id": "1", "quantity": 1}], "add_lines": [{"line_id": "", "sku": "", "quantity": 1, "amount_minor": 0}], "reason": ""}"#
        }
        CommandType::Record => r#"{"kind": "chargeback", "amount_minor": 0, "reference": "", "reason": ""}"#,
    }
}

/// What stands in the form.
struct Filled<'a> {
    kind: CommandType,
    data: &'a str,
    operator: &'a str,
    id: &'a str,
}

/// `GET /console/orders/{tenant}/{order}/act`
pub(super) async fn ask(State(_): State<Arc<Shared>>, names: Names, request: Request) -> Result<Page, Page> {
    let order = names::order(&names)?;
    let query = non_empty_params(&request);
    let query = Query::parse(Some(&query), &["verb"])?;
    let all: Vec<CommandType> = offered().collect();
    let kind = query.word("verb", &all, CommandType::verb)?.unwrap_or(CommandType::Hold);
    let filled = Filled { kind, data: template(kind), operator: "", id: &new_id()? };
    Ok(Page::new(title(&order, kind), form(&order, &filled, None)))
}

/// `POST /console/orders/{tenant}/{order}/act`
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Page, Page> {
    let order = names::order(&names)?;
    let (head, body) = request.into_parts();
    let limit = Duration::from_millis(shared.limits.body_timeout_ms);
    is_form(&head.headers)?;
    let owner = body::BodyOwner { tenants: shared.edge.tenants.as_ref(), tenant: &order.tenant };
    let held = body::read(&shared.admin_bodies, owner, &head.headers, body, limit).await?;
    let text =
        std::str::from_utf8(&held).map_err(|_| Refusal::new(Code::InvalidField, "the form is not UTF-8"))?;
    let given = Query::parse(Some(text), &FIELDS)?;
    let all: Vec<CommandType> = offered().collect();
    let kind = given.word("verb", &all, CommandType::verb)?;
    let kind = kind.ok_or_else(|| Refusal::new(Code::MissingField, "choose a command").at("verb"))?;
    let operator = headers::operator_name(given.text("operator").map(str::trim))?;
    let (data, id) = (given.text("data").unwrap_or_default(), given.text("id").unwrap_or_default());
    let filled = Filled { kind, data, operator, id };
    let command = command(&order, &filled)?;
    let actor = Actor::Operator(operator.into());
    let time = Duration::from_millis(shared.limits.request_timeout_ms);
    if given.text("do") == Some(CARRY_OUT) {
        let outcome = shared.edge.door.ask(command, actor, time).await;
        return Ok(Page::new(title(&order, kind), done(&order, &outcome)));
    }
    let until = Instant::now() + time;
    let asked = Arc::clone(&shared.edge.door);
    let run = |_| async move { asked.dry_run(command, actor, time).await };
    let outcome = shared.admin_reads.run(until, &order.tenant, Some(&order), run).await?;
    Ok(Page::new(title(&order, kind), form(&order, &filled, Some(&outcome))))
}

/// The command that the form says.
fn command(order: &OrderRef, filled: &Filled<'_>) -> Result<CommandEvent, Refusal> {
    let data = decode_data(filled.kind, filled.data.as_bytes()).map_err(|error| Refusal::from(&error))?;
    let invalid = |what: &str| Refusal::new(Code::InvalidField, "open the page again").at(what);
    let id = CommandId::parse(filled.id).map_err(|_| invalid("id"))?;
    let source = Source::parse(SOURCE).map_err(|_| invalid("source"))?;
    Ok(CommandEvent::new(order.clone(), CommandKey { source, id }, data))
}

/// An id that nobody has given.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 12];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Refusal::new(Code::Unavailable, "the system gives no random numbers"))?;
    Ok(format!("console-{}", hex(&bytes)))
}

fn title(order: &OrderRef, kind: CommandType) -> String {
    format!("{} order {} of {}", kind.verb().replace('-', " "), order.order, order.tenant)
}

/// The form, and below it what its command would come to.
fn form(order: &OrderRef, filled: &Filled<'_>, outcome: Option<&Outcome>) -> Markup {
    let (tenant, id) = (order.tenant.as_str(), order.order.as_str());
    let target = act_path(tenant, id);
    let applies = outcome.is_some_and(|outcome| outcome.status == Status::Applied);
    html! {
        p {
            @for kind in offered() {
                (link(&path(&target, &[("verb", kind.verb())]), kind.verb())) " "
            }
        }
        form class="act" method="post" action=(target) {
            input type="hidden" name="verb" value=(filled.kind.verb());
            input type="hidden" name="id" value=(filled.id);
            label {
                "What it says (" code { (filled.kind.as_str()) } "); amounts in minor units"
                textarea name="data" rows="6" required spellcheck="false" { (filled.data) }
            }
            label {
                "Your name"
                input name="operator" required maxlength="64" autocomplete="name" value=(filled.operator);
            }
            button name="do" value="look" { "Show what it would come to" }
            @if let Some(outcome) = outcome {
                h2 { "What it would come to now" }
                (told(outcome))
                @if applies {
                    button class="danger" name="do" value=(CARRY_OUT) { "Carry it out" }
                }
            }
        }
        p { (link(&order_path(tenant, id), "The order and its timeline")) }
    }
}

/// What it came to.
fn done(order: &OrderRef, outcome: &Outcome) -> Markup {
    let (tenant, id) = (order.tenant.as_str(), order.order.as_str());
    html! {
        (told(outcome))
        p { (link(&order_path(tenant, id), "The order and its timeline")) }
    }
}

fn told(outcome: &Outcome) -> Markup {
    let tone = if outcome.status == Status::Applied { "good" } else { "warn" };
    html! {
        p class=(tone) role="status" { (outcome.code.as_str()) ": " (outcome.message) }
        @if let Some(preview) = &outcome.preview { (previewed(preview)) }
    }
}

fn previewed(preview: &Preview) -> Markup {
    let sums = [
        ("To be authorized", preview.money.authorize_minor),
        ("To be given up", preview.money.void_minor),
        ("To be paid back", preview.money.refund_minor),
        ("Left to pay back", Some(preview.money.left_to_refund_minor)),
    ];
    html! {
        dl class="facts" {
            (fact("Status", preview.order_status.as_str()))
            @if let Some(step) = preview.step { (fact("Step", step.as_str())) }
            @for (name, amount) in sums {
                @if let Some(amount) = amount { (fact(name, money(amount, preview.money.currency))) }
            }
            @for event in &preview.events { (fact("Event", event.data.kind())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_is_a_command_once_it_is_filled_in() {
        for kind in offered() {
            let text = template(kind);
            let filled = text
                .replace(r#""step": """#, r#""step": "book""#)
                .replace("\"\"", "\"x\"")
                .replace(r#""amount_minor": 0"#, r#""amount_minor": 1"#);
            assert!(decode_data(kind, filled.as_bytes()).is_ok(), "{filled}");
        }
    }
}
