//! Reading orders: one from the log itself, lists from a projection that says how far it has read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::keys::partition_of;
use retailflow_engine::order::{history as history_of, view_of};
use retailflow_engine::ports::{OrderPage, OrderQuery, ViewError};
use retailflow_engine::wire::limits::VERSION_MAX;
use retailflow_engine::wire::order::{
    Attention, HistoryEntry, HistoryPage, HistorySchema, OrderStatus, OrderView,
};
use retailflow_engine::wire::order_list::{OrderList, OrderListSchema};
use retailflow_engine::wire::{Code, Status};
use tokio::time::{Instant, timeout_at};

use crate::answer::{Refusal, found};
use crate::edge::Shared;
use crate::headers;
use crate::limits::{FOLD_INLINE_MAX_BYTES, LIMIT_DEFAULT, LIMIT_MAX};
use crate::order_reader;
use crate::path::{self, Names};
use crate::query::Query;
use crate::read_failure::{damaged, from_log};
use crate::reads::{CallerGone, Reads};
use crate::token::{self, TokenKind};

/// `GET /v1/tenants/{tenant}/orders/{order}`
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let order = path::order(&names)?;
    Query::parse(request.uri().query(), &[])?;
    let time = headers::timeout(request.headers(), &shared.limits)?;
    let (view, _) = read_view(&shared, &shared.reads, &order, time).await?;
    Ok(found(&view))
}

/// `GET /v1/tenants/{tenant}/orders/{order}/history`
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let order = path::order(&names)?;
    let query = Query::parse(request.uri().query(), &["after", "limit"])?;
    let after = query.number("after", 0, VERSION_MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let time = headers::timeout(request.headers(), &shared.limits)?;
    // One more tells whether there is another page.
    let mut entries = read_history(&shared, &shared.reads, &order, after, limit + 1, time).await?;
    let more = entries.len() as u64 > limit;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| more).map(|entry| entry.decision);
    let OrderRef { tenant, order } = order;
    Ok(found(&HistoryPage { schema: HistorySchema, tenant, order, entries, next }))
}

/// `GET /v1/tenants/{tenant}/orders`
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    let tenant = path::tenant(&names)?;
    let known = ["status", "attention", "after", "limit", "at_least"];
    let query = Query::parse(request.uri().query(), &known)?;
    let wanted = OrderQuery {
        tenant,
        status: query.word("status", OrderStatus::ALL, OrderStatus::as_str)?,
        attention: query.word("attention", Attention::ALL, Attention::as_str)?,
        after: query.token("after")?.map(str::to_owned),
        limit: query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize,
    };
    let at_least = query.token("at_least")?;
    let until = Instant::now() + headers::timeout(request.headers(), &shared.limits)?;
    shared.require_tenant(&wanted.tenant)?;
    if let Some(token) = at_least {
        let position = shared.tokens.open(TokenKind::Position, &wanted.tenant, token);
        let position = position.map_err(|refusal| refusal.at("at_least"))?;
        match timeout_at(until, shared.edge.views.reached(&position)).await {
            Ok(reached) => reached.map_err(|error| of_view(error, "at_least"))?,
            Err(_) => {
                let text = "the list has not read as far as at_least yet; ask again with the same at_least, \
                            or without it for what the list has";
                return Err(Refusal::new(Code::Unavailable, text).at("at_least"));
            }
        }
    }
    let page = list_page(&shared, &shared.reads, wanted, until).await?;
    let (orders, position, next) = (page.orders, page.position, page.next);
    Ok(found(&OrderList { schema: OrderListSchema, orders, position, next }))
}

pub(crate) fn of_view(error: ViewError, name: &str) -> Refusal {
    match error {
        // Its text may name places of the log.
        ViewError::BadToken(_) => token::invalid().at(name),
        // What it says of the machine is said in the process's log.
        ViewError::Unavailable(_) => {
            Refusal::new(Code::Unavailable, "the list cannot be read now; ask again")
        }
        error @ ViewError::NotKept => Refusal::new(Code::NotKeptHere, error.to_string()),
        error @ (ViewError::Building { .. } | ViewError::Disk { .. }) => {
            let text = format!("{error}; ask again, later. Commands and reads of single orders go on");
            Refusal::new(Code::Unavailable, text)
        }
    }
}

/// A page of a list, read in time. Its places, and the place that is asked for, are tokens of the tenant.
pub(crate) async fn list_page(
    shared: &Shared,
    reads: &Reads,
    mut wanted: OrderQuery,
    until: Instant,
) -> Result<OrderPage, Refusal> {
    let tenant = wanted.tenant.clone();
    if let Some(token) = wanted.after.take() {
        let place = shared.tokens.open(TokenKind::Page, &tenant, &token);
        wanted.after = Some(place.map_err(|refusal| refusal.at("after"))?);
    }
    let views = Arc::clone(&shared.edge.views);
    let read = |_| async move { views.list(wanted).await };
    let page = reads.run(until, &tenant, None, read).await?;
    let page = page.map_err(|error| of_view(error, "after"))?;
    let seal = |kind, place: &str| shared.tokens.seal(kind, &tenant, place).ok_or_else(Refusal::internal);
    let next = page.next.map(|place| seal(TokenKind::Page, &place)).transpose()?;
    let position = seal(TokenKind::Position, &page.position)?;
    Ok(OrderPage { orders: page.orders, next, position })
}

/// An order as it stands, read from a snapshot and the log within `time`, and how many decisions there are.
pub(crate) async fn read_view(
    shared: &Shared,
    reads: &Reads,
    order: &OrderRef,
    time: Duration,
) -> Result<(OrderView, u64), Refusal> {
    let until = Instant::now() + time;
    shared.require_tenant(&order.tenant).map_err(|refusal| refusal.of(order))?;
    let (edge, cache, wanted) = (shared.edge.clone(), Arc::clone(&shared.cache), order.clone());
    let read = |gone: CallerGone| async move {
        let log = &edge.log;
        let parked = log.parked(partition_of(&wanted, log.identity().partitions)).await.map_err(from_log)?;
        let reason = parked.into_iter().find(|parked| parked.order == wanted).map(|parked| parked.reason);
        let aggregate =
            order_reader::read(log.as_ref(), edge.snapshots.as_deref(), &cache, &wanted, &gone).await?;
        let view = view_of(&aggregate, reason.as_deref()).map_err(|_| damaged())?;
        Ok::<_, Refusal>(view.map(|view| (view, aggregate.revision)))
    };
    let found = reads.run(until, &order.tenant, Some(order), read).await??;
    found.ok_or_else(|| not_found(order))
}

/// Decisions on an order after number `after`, at most `limit` of them, read from the log within `time`.
pub(crate) async fn read_history(
    shared: &Shared,
    reads: &Reads,
    order: &OrderRef,
    after: u64,
    limit: u64,
    time: Duration,
) -> Result<Vec<HistoryEntry>, Refusal> {
    let until = Instant::now() + time;
    shared.require_tenant(&order.tenant).map_err(|refusal| refusal.of(order))?;
    let (edge, wanted) = (shared.edge.clone(), order.clone());
    let read = |gone: CallerGone| async move {
        let log = &edge.log;
        let records = log.read_some(&wanted, after, limit).await.map_err(from_log)?;
        let records: Vec<Vec<u8>> = records.into_iter().map(|record| record.bytes).collect();
        gone.check()?;
        let entries = if records.iter().map(Vec::len).sum::<usize>() <= FOLD_INLINE_MAX_BYTES {
            history_of(&records, after, limit)
        } else {
            let decode = tokio::task::spawn_blocking(move || history_of(&records, after, limit));
            decode.await.map_err(|_| Refusal::internal())?
        };
        let entries = entries.map_err(|_| damaged())?;
        if !entries.iter().any(|entry| entry.status == Status::Applied) {
            // Maybe nothing was ever placed.
            order_reader::is_placed(log.as_ref(), &wanted, &gone)
                .await?
                .then_some(())
                .ok_or_else(|| not_found(&wanted))?;
        }
        Ok(entries)
    };
    reads.run(until, &order.tenant, Some(order), read).await?
}

fn not_found(order: &OrderRef) -> Refusal {
    Refusal::new(Code::OrderNotFound, Code::OrderNotFound.meaning()).of(order)
}
