//! What operators do to parked orders: the end of their parking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use hyper::HeaderMap;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::ports::EndParkingError;
use retailflow_engine::wire::Code;
use retailflow_engine::wire::admin::ReleaseReport;
use tokio::time::timeout;

use crate::answer::{Refusal, found};
use crate::edge::Shared;
use crate::headers;
use crate::path::{self, Names};
use crate::query::Query;

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
