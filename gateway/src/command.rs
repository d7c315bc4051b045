//! The doors for commands: tenants' and operators'.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use retailflow_engine::ids::{OPERATOR_SOURCE, OrderRef, TenantId};
use retailflow_engine::order::Actor;
use retailflow_engine::wire::{Code, CommandEvent, CommandType, Outcome, Status};
use tokio::time::Instant as TokioInstant;

use crate::answer::{Refusal, respond};
use crate::body::BodyOwner;
use crate::content::Form;
use crate::edge::Shared;
use crate::path::{self, Names};
use crate::query::Query;
use crate::token::TokenKind;
use crate::{body, content, headers};

/// Where the log stood when a command was answered, for `at_least` of a list.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("rf-position");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Asks what would be decided, as a parameter of the query.
const DRY_RUN: &str = "dry_run";
/// How the same is said at the ask door of NATS.
const DRY_RUN_HEADER: &str = "rf-dry-run";

/// Who made a command that does not say so.
pub(crate) const TENANT_SOURCE: &str = "/http";

/// A tenant's command.
pub(crate) async fn tenants(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    take(&shared, &names, request, Door::Tenant).await
}

/// An operator's command.
pub(crate) async fn operators(
    State(shared): State<Arc<Shared>>,
    names: Names,
    request: Request,
) -> Result<Response, Refusal> {
    take(&shared, &names, request, Door::Operator).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Tenant,
    Operator,
}

impl Door {
    const fn source(self) -> &'static str {
        match self {
            Self::Tenant => TENANT_SOURCE,
            Self::Operator => OPERATOR_SOURCE,
        }
    }

    fn lets_in(self, kind: CommandType) -> Result<(), Refusal> {
        match self {
            Self::Tenant if kind.is_operator() => {
                Err(Refusal::new(Code::OperatorOnly, Code::OperatorOnly.meaning()))
            }
            Self::Operator if !kind.is_operator() => {
                let all = CommandType::ALL.iter().filter(|kind| kind.is_operator());
                let known: Vec<_> = all.map(|kind| kind.as_str()).collect();
                let text =
                    format!("tenants' commands go to the tenants' door; here are {}", known.join(", "));
                Err(Refusal::new(Code::UnknownType, text))
            }
            _ => Ok(()),
        }
    }
}

/// Is only asked what would be decided? A parameter or header that could mean it, and is not it, is refused: the command would be
/// carried out by mistake.
fn is_dry_run(query: Option<&str>, headers: &HeaderMap) -> Result<bool, Refusal> {
    if headers.contains_key(DRY_RUN_HEADER) {
        let text = "over HTTP a dry run is asked for in the query: ?dry_run=true";
        return Err(Refusal::new(Code::UnknownField, text).at(DRY_RUN_HEADER));
    }
    let query = Query::parse(query, &[DRY_RUN])?;
    Ok(query
        .word(DRY_RUN, &[false, true], |dry_run| if dry_run { "true" } else { "false" })?
        .unwrap_or(false))
}

/// What a request says before its body is read.
struct CheckedRequest {
    order: OrderRef,
    time: Duration,
    actor: Actor,
    form: Form,
}

fn check_request(
    shared: &Shared,
    names: &Names,
    headers: &HeaderMap,
    empty: bool,
    door: Door,
    dry_run: bool,
) -> Result<CheckedRequest, Refusal> {
    let order = path::order(names)?;
    if let Some(outcome) = refuses(shared, &order.tenant, dry_run) {
        return Err(Refusal::from(outcome).of(&order));
    }
    let time = headers::timeout(headers, &shared.limits)?;
    let actor = match door {
        Door::Tenant => Actor::Tenant,
        Door::Operator => Actor::Operator(headers::operator(headers)?.into()),
    };
    let form = content::form(headers, empty)?;
    Ok(CheckedRequest { order, time, actor, form })
}

/// Would any command of this tenant be refused now? A node that stops still answers what is only looked at.
fn refuses(shared: &Shared, tenant: &TenantId, dry_run: bool) -> Option<Outcome> {
    let refused = shared.edge.door.refuses(tenant)?;
    (!dry_run || refused.code != Code::Draining).then_some(refused)
}

async fn take(shared: &Shared, names: &Names, request: Request, door: Door) -> Result<Response, Refusal> {
    let (parts, request_body) = request.into_parts();
    let dry_run = match is_dry_run(parts.uri.query(), &parts.headers) {
        Ok(dry_run) => dry_run,
        Err(refusal) => return Err(body::refuse(&parts.headers, request_body, refusal).await),
    };
    let answered = take_as(shared, names, (parts, request_body), door, dry_run).await;
    answered.map_err(|refusal| if dry_run { refusal.of_dry_run() } else { refusal })
}

async fn take_as(
    shared: &Shared,
    names: &Names,
    (parts, request_body): (Parts, Body),
    door: Door,
    dry_run: bool,
) -> Result<Response, Refusal> {
    let began = Instant::now();
    let empty = request_body.is_end_stream();
    let checked = match check_request(shared, names, &parts.headers, empty, door, dry_run) {
        Ok(checked) => checked,
        Err(refusal) => return Err(body::refuse(&parts.headers, request_body, refusal).await),
    };
    let CheckedRequest { order, time, actor, form } = checked;
    let body_time = time.min(Duration::from_millis(shared.limits.body_timeout_ms));
    let room = match door {
        Door::Tenant => &shared.bodies,
        Door::Operator => &shared.admin_bodies,
    };
    let owner = BodyOwner { tenants: shared.edge.tenants.as_ref(), tenant: &order.tenant };
    let body = body::read(room, owner, &parts.headers, request_body, body_time).await?;
    let command = content::read(&order, form, &parts.headers, &body, door.source())?;
    drop(body);
    door.lets_in(command.kind()).map_err(|refusal| refusal.of(&order))?;

    let traceparent = command.trace.traceparent.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    let left = time.saturating_sub(began.elapsed());
    let outcome = match dry_run {
        false => shared.edge.door.ask(command, actor, left).await,
        true => run_dry(shared, door, command, actor, left).await?,
    };
    let position = (!dry_run && outcome.status != Status::Refused).then(|| written(shared, &order)).flatten();
    let mut response = respond(outcome);
    let answered = response.headers_mut();
    if let Some(position) = position {
        answered.insert(POSITION, position);
    }
    if let Some(traceparent) = traceparent {
        answered.insert(TRACEPARENT, traceparent);
    }
    Ok(response)
}

/// What the command would come to. It is read, so it takes its turn among reads.
async fn run_dry(
    shared: &Shared,
    door: Door,
    command: CommandEvent,
    actor: Actor,
    left: Duration,
) -> Result<Outcome, Refusal> {
    let reads = match door {
        Door::Tenant => &shared.reads,
        Door::Operator => &shared.admin_reads,
    };
    let until = TokioInstant::now() + left;
    let (order, asked) = (command.order.clone(), Arc::clone(&shared.edge.door));
    let run = |_| async move { asked.dry_run(command, actor, left).await };
    reads.run(until, &order.tenant, Some(&order), run).await.map_err(|refusal| refusal.of(&order))
}

/// Up to where the log is written, as the tenant's token; `None` where no lists are kept that could be asked with it.
fn written(shared: &Shared, order: &OrderRef) -> Option<HeaderValue> {
    let written = shared.edge.views.written();
    let token = || shared.tokens.seal(TokenKind::Position, &order.tenant, &written);
    (!written.is_empty()).then(token).flatten().and_then(|token| HeaderValue::try_from(token).ok())
}
