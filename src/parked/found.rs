//! What is read of a parked order.

use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::waiting_command;
use retailflow_engine::ports::{EventLog, ParkedOrder};
use retailflow_engine::wire::admin::WaitingCommand;
use retailflow_engine::wire::time::format_time;
use retailflow_server::exit::Failure;

use retailflow_server::words::one_line;

/// Commands read at once. Each may have a megabyte; only its address is kept.
const PIECE: usize = 16;

pub(crate) fn not_parked(order: &OrderRef) -> Failure {
    Failure::finding(format!("order {order} is not parked; `retailflow parked list` tells which are"))
}

pub(crate) async fn parked_one(
    log: &dyn EventLog,
    order: &OrderRef,
) -> anyhow::Result<Option<(ParkedOrder, Vec<WaitingCommand>)>> {
    let parked = log.parked(partition_of(order, log.identity().partitions)).await?;
    let Some(parked) = parked.into_iter().find(|parked| parked.order == *order) else { return Ok(None) };
    let mut waiting: Vec<WaitingCommand> = Vec::new();
    loop {
        let after = waiting.last().map_or(0, |last| last.sequence);
        let piece = log.parked_commands(order, after, PIECE).await?;
        let last = piece.len() < PIECE;
        for record in piece {
            waiting.push(waiting_command(&record)?);
        }
        if last {
            return Ok(Some((parked, waiting)));
        }
    }
}

/// A waiting command, for people.
pub(crate) fn line(command: &WaitingCommand) -> String {
    let WaitingCommand { sequence, kind, id, source, at, actor } = command;
    let kind = kind.as_deref().map_or_else(|| "unreadable".to_owned(), one_line);
    let giver = match &actor.name {
        Some(name) => format!("{} {}", actor.kind.as_str(), one_line(name)),
        None => actor.kind.as_str().to_owned(),
    };
    let (at, id, source) = (format_time(*at), one_line(id), one_line(source));
    format!("{sequence:>6}  {at}  {kind:<28} {giver:<20} {id}  {source}\n")
}
