//! What operators ask for beside commands: parked orders, and the end of their parking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use hyper::HeaderMap;
use retailflow_engine::ids::{OrderRef, PartitionId};
use retailflow_engine::keys::partition_of;
use retailflow_engine::ports::{EndParkingError, ParkedOrder};
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::{ParkedEntry, ParkedList, ParkedListSchema, ReleaseReport};
use tokio::time::timeout;

use crate::answer::{Refusal, found};
use crate::edge::Shared;
use crate::headers;
use crate::orders::{LIMIT_DEFAULT, LIMIT_MAX, of_log};
use crate::path::{self, Names};
use crate::query::Query;

/// `GET /v1/admin/parked`
pub(crate) async fn parked(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["after", "limit"])?;
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    Ok(found(&parked_page(&shared, query.token("after")?, limit).await?))
}

/// Parked orders after a place: the `next` of an earlier page.
pub(crate) async fn parked_page(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<ParkedList, Refusal> {
    let after = match after.map(|text| text.split_once('/').ok_or(text)) {
        Some(Err(_)) => {
            let text = "give it as the \"next\" of an earlier answer, tenant/order";
            return Err(Refusal::new(Code::InvalidField, text).at("after"));
        }
        Some(Ok(after)) => Some(after),
        None => None,
    };
    let log = &shared.edge.log;
    let mut all = Vec::new();
    for partition in 0..log.identity().partitions {
        all.extend(log.parked(PartitionId(partition)).await.map_err(of_log)?);
    }
    all.sort_by(|a, b| a.order.cmp(&b.order));
    let name = |order: &ParkedOrder| {
        after.is_none_or(|after| (order.order.tenant.as_str(), order.order.order.as_str()) > after)
    };
    let mut rest = all.into_iter().filter(name).map(entry);
    let orders: Vec<ParkedEntry> = rest.by_ref().take(limit).collect();
    let last = orders.last().filter(|_| rest.next().is_some());
    let next = last.map(|last| format!("{}/{}", last.tenant, last.order));
    Ok(ParkedList { schema: ParkedListSchema, orders, next })
}

/// The mark of one parked order.
pub(crate) async fn parked_order(shared: &Shared, order: &OrderRef) -> Result<ParkedEntry, Refusal> {
    let log = &shared.edge.log;
    let all = log.parked(partition_of(order, log.identity().partitions)).await.map_err(of_log)?;
    let found = all.into_iter().find(|parked| parked.order == *order);
    found.map(entry).ok_or_else(|| Refusal::new(Code::NotParked, Code::NotParked.meaning()).of(order))
}

fn entry(parked: ParkedOrder) -> ParkedEntry {
    let OrderRef { tenant, order } = parked.order;
    ParkedEntry { tenant, order, reason: parked.reason, queued: parked.queued }
}

/// `POST /v1/admin/tenants/{tenant}/orders/{order}/release`
pub(crate) async fn release(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    end(&shared, &names, request.uri().query(), request.headers(), false).await
}

/// `POST /v1/admin/tenants/{tenant}/orders/{order}/discard`
pub(crate) async fn discard(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    end(&shared, &names, request.uri().query(), request.headers(), true).await
}

async fn end(
    shared: &Shared,
    names: &Names,
    query: Option<&str>,
    headers: &HeaderMap,
    discard: bool,
) -> Result<Response, Refusal> {
    let order = path::order(names)?;
    Query::parse(query, &[])?;
    let operator = headers::operator(headers)?;
    let time = headers::timeout(headers, &shared.limits)?;
    Ok(found(&end_parking(shared, &order, operator, discard, time).await?))
}

/// Has what waits behind a parked order decided or discarded, within `time`.
pub(crate) async fn end_parking(
    shared: &Shared,
    order: &OrderRef,
    operator: &str,
    discard: bool,
    time: Duration,
) -> Result<ReleaseReport, Refusal> {
    let refused = |code, text: String| Refusal::new(code, text).of(order);
    match timeout(time, shared.edge.door.end_parking(order, operator, discard)).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(EndParkingError::NotParked)) => {
            Err(refused(Code::NotParked, Code::NotParked.meaning().into()))
        }
        Ok(Err(EndParkingError::UnderWay(text))) => Err(refused(Code::ReleaseUnderWay, text)),
        Ok(Err(EndParkingError::Stopped(text))) => Err(refused(Code::ReleaseStopped, text)),
        Ok(Err(EndParkingError::Unavailable(text))) => Err(refused(Code::Unavailable, text)),
        Ok(Err(EndParkingError::Unknown(text))) => Err(refused(Code::OutcomeUnknown, text)),
        Err(_) => {
            let text = "the time was up before it was done; look whether the order is still parked, and ask again \
                        if it is";
            Err(refused(Code::OutcomeUnknown, text.to_owned()))
        }
    }
}
