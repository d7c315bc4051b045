//! `retailflow parked` at a server's door for operators: the same orders in the same form as from the data itself.

use std::collections::BTreeSet;

use retailflow_actors::ReleaseCounts;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{ParkedEntry, ParkedList, ParkedQueue, ReleaseReport, WaitingCommand};
use serde_json::json;

use crate::cli::{Output, print};
use crate::client::{Answer, Client};
use crate::order::name;
use crate::order::operate::operator;
use crate::parked::ending::{EndArgs, Way, not_meant, render_release};
use crate::parked::found::not_parked;
use retailflow_server::exit::{ExitStatus, Failure};

/// What a server tells of parked orders.
pub(crate) struct ParkedOrders {
    /// By tenant and order.
    pub(crate) orders: Vec<ParkedOrder>,
    /// Partitions that it could not read.
    unread: BTreeSet<u16>,
}

impl ParkedOrders {
    /// # Errors
    /// Says that orders are missing, where that may be so.
    pub(crate) fn whole(&self) -> Result<(), Failure> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let unread: Vec<_> = self.unread.iter().map(u16::to_string).collect();
        Err(Failure::unreachable(format!(
            "the server could not read partition {} now: parked orders may be missing; ask again, and see \
             `retailflow doctor` if it stays so",
            unread.join(", ")
        )))
    }
}

/// All parked orders that a server has.
pub(crate) fn list(client: &Client) -> Result<ParkedOrders, Failure> {
    let (mut all, mut unread, mut after) = (Vec::new(), BTreeSet::new(), String::new());
    loop {
        let answer = client.get(&format!("/v1/admin/parked?limit=1000{after}"))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let page: ParkedList = answer.read()?;
        let empty = page.orders.is_empty();
        unread.extend(page.unread);
        all.extend(page.orders.into_iter().map(|entry| {
            let ParkedEntry { tenant, order, reason, queued } = entry;
            ParkedOrder { order: OrderRef { tenant, order }, reason, queued }
        }));
        match page.next.filter(|_| !empty) {
            // Names need no other spelling in a query.
            Some(next) => after = format!("&after={next}"),
            None => return Ok(ParkedOrders { orders: all, unread }),
        }
    }
}

/// A parked order and all that waits behind it, if it is parked.
pub(crate) fn queue(
    client: &Client,
    order: &OrderRef,
) -> Result<Option<(ParkedOrder, Vec<WaitingCommand>)>, Failure> {
    let (mut waiting, mut after): (Vec<WaitingCommand>, _) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/admin{}/parked?limit=1000&after={after}", name::path(order));
        let answer = client.get(&path)?;
        match answer.status {
            200 => {}
            _ if answer.code() == Code::NotParked.as_str() => return Ok(None),
            _ => return Err(answer.refusal()),
        }
        let ParkedQueue { reason, queued, commands, next, .. } = answer.read()?;
        waiting.extend(commands);
        match next.filter(|next| *next > after) {
            Some(next) => after = next,
            None => return Ok(Some((ParkedOrder { order: order.clone(), reason, queued }, waiting))),
        }
    }
}

/// Ends an order's parking.
pub(crate) fn end(client: &Client, args: &EndArgs, way: Way, output: Output) -> Result<(), Failure> {
    let name = args.name.full();
    let by = operator(&args.operator).map_err(|why| Failure::usage(format!("--operator: {why}")))?;
    let mut found = list(client)?;
    let Some(at) = found.orders.iter().position(|parked| parked.order == name) else {
        found.whole()?;
        return Err(not_parked(&name));
    };
    let parked = found.orders.swap_remove(at);
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
    let answer = client.act(&format!("/v1/admin{}/{verb}", name::path(&name)), &by);
    let answer = answer.map_err(|failure| unsure(failure, &name))?;
    match answer.status {
        200 => {
            let ReleaseReport { commands, applied, rejected, replayed, dead_lettered, .. } = answer.read()?;
            print(&render_release(
                &name,
                &ReleaseCounts { commands, applied, rejected, replayed, dead_lettered },
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
