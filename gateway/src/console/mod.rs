//! The operators' page: what the operators' door and the lists say, for people, at night, without a script.
//!
//! - It asks the same ports as the API, within the same limits, and shows no more of a customer than they need.
//! - **Data never becomes markup**: `maud` makes markup of literals only and escapes all else; what would not be seen is
//!   written out once, in the whole document.
//! - **A stranger's page does nothing here**: `guard.rs` looks at names and origins, and the policy of each page keeps
//!   scripts and frames out.

mod act;
mod guard;
mod html;
mod order;
mod orders;
mod overview;
mod page;
mod params;
mod parked;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use self::page::Page;
use crate::edge::Shared;
use crate::host::HostNames;

/// The paths below `/console`, and the way there for whoever opens the bare address.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route("/console", get(overview::page))
        .route("/console/orders", get(orders::page))
        .route("/console/orders/{tenant}/{order}", get(order::page))
        .route("/console/orders/{tenant}/{order}/act", get(act::ask).post(act::act))
        .route("/console/parked", get(parked::list))
        .route("/console/parked/{tenant}/{order}", get(parked::ask))
        .route("/console/parked/{tenant}/{order}/release", post(parked::release))
        .route("/console/parked/{tenant}/{order}/discard", post(parked::discard))
        .route("/console/style.css", get(page::style))
        .layer(from_fn_with_state(shared.host_names.clone(), guarded))
        .with_state(Arc::clone(shared))
}

async fn guarded(State(names): State<HostNames>, request: Request, next: Next) -> Response {
    let response = match guard::check(&names, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Page::from(refusal).into_response(),
    };
    page::with_headers(response)
}
