//! Parameters of the console's forms.

use axum::extract::Request;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::headers;

const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of a request without the empty ones: a form sends those that were left open, too.
pub(super) fn non_empty_params(request: &Request) -> String {
    let mut given = form_urlencoded::Serializer::new(String::new());
    let all = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    given.extend_pairs(all.filter(|(_, value)| !value.is_empty()));
    given.finish()
}

/// A form of another kind could come from a page of somebody else's without being asked about.
pub(super) fn is_form(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers::single(headers, CONTENT_TYPE.as_str())?;
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    match kind.trim().eq_ignore_ascii_case(FORM) {
        true => Ok(()),
        false => {
            Err(Refusal::new(Code::UnsupportedMediaType, format!("{FORM} is expected")).at("content-type"))
        }
    }
}
