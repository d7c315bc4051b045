//! Parameters of the console's forms.

use axum::extract::Request;

/// The parameters of a request without the empty ones: a form sends those that were left open, too.
pub(super) fn non_empty_params(request: &Request) -> String {
    let mut given = form_urlencoded::Serializer::new(String::new());
    let all = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    given.extend_pairs(all.filter(|(_, value)| !value.is_empty()));
    given.finish()
}
