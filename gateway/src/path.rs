//! Names in the path of a request.

use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use retailflow_engine::ids::{IdError, OrderId, OrderRef, TenantId};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;

/// What the extractor gives.
pub(crate) type Names = Result<RawPathParams, RawPathParamsRejection>;

fn name<'a>(names: &'a Names, wanted: &str) -> Result<&'a str, Refusal> {
    let names =
        names.as_ref().map_err(|_| Refusal::new(Code::InvalidId, "the path is not UTF-8").at("path"))?;
    names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value).ok_or_else(Refusal::internal)
}

fn invalid(error: &IdError, name: &str) -> Refusal {
    Refusal::new(Code::InvalidId, error.to_string()).at(name)
}

/// The tenant that the path names.
pub(crate) fn tenant(names: &Names) -> Result<TenantId, Refusal> {
    TenantId::parse(name(names, "tenant")?).map_err(|error| invalid(&error, "tenant"))
}

/// The order that the path names.
pub(crate) fn order(names: &Names) -> Result<OrderRef, Refusal> {
    let tenant = tenant(names)?;
    let order = OrderId::parse(name(names, "order")?).map_err(|error| invalid(&error, "order"))?;
    Ok(OrderRef { tenant, order })
}
