//! `retailflow parked` at a server's door for operators: the same orders in the same form as from the data itself.

use retailflow_actors::Released;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{ParkedEntry, ParkedList, ReleaseReport};
use serde_json::json;

use crate::cli::order_operate::operator;
use crate::cli::parked::not_parked;
use crate::cli::parked_end::{EndArgs, Way, not_meant, told};
use crate::cli::{Output, order, print};
use crate::client::{Answer, Client};
use crate::exit::{ExitStatus, Failure};

/// All parked orders that a server has, by tenant and order.
pub(super) fn list(client: &Client) -> Result<Vec<ParkedOrder>, Failure> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/v1/admin/parked?limit=1000{after}"))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let page: ParkedList = answer.read()?;
        let empty = page.orders.is_empty();
        all.extend(page.orders.into_iter().map(|entry| {
            let ParkedEntry { tenant, order, reason, queued } = entry;
            ParkedOrder { order: OrderRef { tenant, order }, reason, queued }
        }));
        match page.next.filter(|_| !empty) {
            // Names need no other spelling in a query.
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

/// Ends an order's parking.
pub(super) fn end(client: &Client, args: &EndArgs, way: Way, output: Output) -> Result<(), Failure> {
    let name = args.name.full();
    let by = operator(&args.operator).map_err(|why| Failure::usage(format!("--operator: {why}")))?;
    let found = list(client)?.into_iter().find(|parked| parked.order == name);
    let Some(parked) = found else { return Err(not_parked(&name)) };
    if args.dry_run {
        return print(&plan(&parked, way, output));
    }
    if !args.yes {
        return Err(not_meant(&name, parked.queued, way));
    }
    let verb = match way {
        Way::Release => "release",
        Way::Discard => "discard",
    };
    let answer = client.act(&format!("/v1/admin{}/{verb}", order::path(&name)), &by);
    let answer = answer.map_err(|failure| unsure(failure, &name))?;
    match answer.status {
        200 => {
            let ReleaseReport { commands, applied, rejected, replayed, dead_lettered, .. } = answer.read()?;
            print(&told(
                &name,
                &Released { commands, applied, rejected, replayed, dead_lettered },
                way,
                output,
            ))
        }
        _ => Err(refused(&answer, &name)),
    }
}

/// With the same exit codes as on the data itself.
fn refused(answer: &Answer, name: &OrderRef) -> Failure {
    let code = answer.code();
    if code == Code::NotParked.as_str() {
        return not_parked(name);
    }
    if code == Code::ReleaseStopped.as_str() {
        return Failure::finding(format!("order {name}: {}", answer.why()));
    }
    unsure(answer.refusal(), name)
}

/// Where no answer came, it may have been done.
fn unsure(failure: Failure, name: &OrderRef) -> Failure {
    match failure {
        Failure { code: ExitStatus::Unreachable, error: Some(error) } => {
            let look = format!("order {name} may be released, or not: `retailflow parked list` tells");
            Failure::new(ExitStatus::Unreachable, error.context(look))
        }
        other => other,
    }
}

/// What would be done. The commands themselves are told by the data only.
fn plan(parked: &ParkedOrder, way: Way, output: Output) -> String {
    let ParkedOrder { order, reason, queued } = parked;
    match output {
        Output::Json => {
            let shown = json!({
                "tenant": order.tenant.as_str(),
                "order": order.order.as_str(),
                "dry_run": true,
                "reason": reason,
                "waiting": queued,
            });
            format!("{shown:#}\n")
        }
        Output::Table => format!("order {order}: {queued} commands would be {}\n", way.plan()),
    }
}
