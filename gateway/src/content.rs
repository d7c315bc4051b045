//! The three forms in which a command may come: a CloudEvent in JSON, a CloudEvent in headers, or bare data. What they say is
//! read by the engine's binding, as at every other door.
//!
//! The path says which order it is for; whatever else names a tenant or an order must agree with it.

use hyper::HeaderMap;
use retailflow_engine::ids::OrderRef;
use retailflow_engine::wire::CommandEvent;
pub(crate) use retailflow_engine::wire::binding::Form;
use retailflow_engine::wire::binding::{Attributes, Door, MessageHeaders};

use crate::answer::Refusal;

/// A request's headers.
struct Headers<'h>(&'h HeaderMap);

impl MessageHeaders for Headers<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, &'a [u8])) {
        self.0.iter().for_each(|(name, value)| take(name.as_str(), value.as_bytes()));
    }
}

/// What the headers say of the body's form, before it is read.
pub(crate) fn form(headers: &HeaderMap, no_body: bool) -> Result<Form, Refusal> {
    let headers = Headers(headers);
    let attributes = Attributes::of(&headers);
    match attributes.form().map_err(|error| Refusal::from(&error))? {
        Some(form) => Ok(form),
        // Operators' commands may have no data at all; and whose envelope is in headers says by that what the body is.
        None if no_body || attributes.is_event() => Ok(Form::Data),
        None => Err(Refusal::from(&Attributes::without_form())),
    }
}

/// Reads a command for `order`. `source` is who made a command that does not say so.
pub(crate) fn read(
    order: &OrderRef,
    form: Form,
    headers: &HeaderMap,
    body: &[u8],
    source: &str,
) -> Result<CommandEvent, Refusal> {
    let headers = Headers(headers);
    let door = Door { address: "path of the request", source: Some(source) };
    let read = Attributes::of(&headers).read(order, form, body, &door);
    read.map_err(|error| Refusal::from(&error).of(order))
}
