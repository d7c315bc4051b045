//! Which orders are parked, read from all partitions at once.
//!
//! - Each partition is read for itself, within a time of its own: one that cannot be read now is named in the answer, and takes
//!   nobody else's orders out of it.
//! - A partition that hangs keeps [`PARKED_READS_MAX`](crate::limits::PARKED_READS_MAX) reads at most, whoever asks and however often.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::waiting_command;
use retailflow_engine::ports::ParkedOrder;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{
    ParkedEntry, ParkedList, ParkedListSchema, ParkedQueue, ParkedQueueSchema,
};
use retailflow_engine::wire::limits::VERSION_MAX;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Refusal, found};
use crate::edge::Shared;
use crate::headers;
use crate::limits::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::path::{self, Names};
use crate::query::Query;
use crate::read_failure::{damaged, from_log, timed_out};

/// Marks are read in milliseconds; a partition that takes longer than this is told as unread.
const PARTITION_MAX: Duration = Duration::from_secs(5);
/// Commands read at once. Each may have a megabyte; only its address is kept.
const PIECE: usize = 16;

/// `GET /v1/admin/parked`
pub(crate) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["after", "limit"])?;
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    let time = headers::timeout(request.headers(), &shared.limits)?;
    Ok(found(&page(&shared, query.token("after")?, limit, time).await?))
}

/// `GET /v1/admin/tenants/{tenant}/orders/{order}/parked`
pub(crate) async fn queue(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let order = path::order(&names)?;
    let query = Query::parse(request.uri().query(), &["after", "limit"])?;
    let after = query.number("after", 0, VERSION_MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    let time = headers::timeout(request.headers(), &shared.limits)?;
    Ok(found(&waiting(&shared, &order, after, limit, time).await?))
}

/// What waits behind a parked order, from a sequence on.
async fn waiting(
    shared: &Shared,
    order: &OrderRef,
    mut after: u64,
    limit: usize,
    time: Duration,
) -> Result<ParkedQueue, Refusal> {
    let until = Instant::now() + time;
    let ParkedEntry { tenant, order: id, reason, queued } = one(shared, order, time).await?;
    let partition = partition_of(order, shared.edge.log.identity().partitions);
    let mut commands = Vec::new();
    let read = async {
        let _turn = shared.parked_reads.take(&partition).await;
        while commands.len() < limit {
            let wanted = PIECE.min(limit - commands.len());
            let piece = shared.edge.log.parked_commands(order, after, wanted).await.map_err(from_log)?;
            let last = piece.len() < wanted;
            for record in piece {
                let command = waiting_command(&record).map_err(|_| damaged())?;
                after = command.sequence;
                commands.push(command);
            }
            if last {
                return Ok(None);
            }
        }
        Ok(Some(after))
    };
    let next = timeout_at(until, read)
        .await
        .map_err(|_| timed_out())?
        .map_err(|refusal: Refusal| refusal.of(order))?;
    Ok(ParkedQueue { schema: ParkedQueueSchema, tenant, order: id, reason, queued, commands, next })
}

/// Parked orders after a place: the `next` of an earlier page.
pub(crate) async fn page(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
    time: Duration,
) -> Result<ParkedList, Refusal> {
    let after = match after.map(|text| text.split_once('/').ok_or(text)) {
        Some(Err(_)) => {
            let text = "give it as the \"next\" of an earlier answer, tenant/order";
            return Err(Refusal::new(Code::InvalidField, text).at("after"));
        }
        Some(Ok(after)) => Some(after),
        None => None,
    };
    let wanted = |order: &ParkedOrder| {
        after.is_none_or(|after| (order.order.tenant.as_str(), order.order.order.as_str()) > after)
    };
    let until = Instant::now() + time.min(PARTITION_MAX);
    let partitions = 0..shared.edge.log.identity().partitions;
    let mut reads: FuturesUnordered<_> = partitions
        .map(PartitionId)
        .map(|partition| async move { (partition, marks(shared, partition, until).await) })
        .collect();
    let (mut orders, mut unread, mut why) = (Vec::new(), Vec::new(), None);
    while let Some((partition, read)) = reads.next().await {
        match read {
            Ok(read) => {
                orders.extend(read.into_iter().filter(wanted));
                orders.sort_by(|a, b| a.order.cmp(&b.order));
                // One more says that there is a next page; no more of them are needed, however many there are.
                orders.truncate(limit + 1);
            }
            Err(refusal) => {
                unread.push(partition.0);
                why = Some(refusal);
            }
        }
    }
    if let Some(why) = why.filter(|_| unread.len() == usize::from(shared.edge.log.identity().partitions)) {
        return Err(why);
    }
    unread.sort_unstable();
    let more = orders.len() > limit;
    orders.truncate(limit);
    let orders: Vec<ParkedEntry> = orders.into_iter().map(entry).collect();
    let next = orders.last().filter(|_| more).map(|last| format!("{}/{}", last.tenant, last.order));
    Ok(ParkedList { schema: ParkedListSchema, orders, next, unread })
}

/// The mark of one parked order.
pub(crate) async fn one(shared: &Shared, order: &OrderRef, time: Duration) -> Result<ParkedEntry, Refusal> {
    let partition = partition_of(order, shared.edge.log.identity().partitions);
    let all = marks(shared, partition, Instant::now() + time).await.map_err(|refusal| refusal.of(order))?;
    let found = all.into_iter().find(|parked| parked.order == *order);
    found.map(entry).ok_or_else(|| Refusal::new(Code::NotParked, Code::NotParked.meaning()).of(order))
}

async fn marks(shared: &Shared, partition: PartitionId, until: Instant) -> Result<Vec<ParkedOrder>, Refusal> {
    let read = async {
        let _turn = shared.parked_reads.take(&partition).await;
        shared.edge.log.parked(partition).await.map_err(from_log)
    };
    timeout_at(until, read).await.map_err(|_| timed_out())?
}

fn entry(parked: ParkedOrder) -> ParkedEntry {
    let OrderRef { tenant, order } = parked.order;
    ParkedEntry { tenant, order, reason: parked.reason, queued: parked.queued }
}
