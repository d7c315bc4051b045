//! What all pages have in common: their frame, their headers, and what a page says when there is no other.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::html::{fact, link, show_hidden};
use crate::answer::Refusal;

/// Nothing but our own style sheet is loaded, and nothing is run; forms go nowhere but here, and nobody may frame a
/// page to have an operator press a button unseen.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Shown by the page of numbers, so often.
const REFRESH: PreEscaped<&str> = PreEscaped("<meta http-equiv=refresh content=5>");

/// A page, about to be written.
pub(super) struct Page {
    status: StatusCode,
    title: String,
    refreshes: bool,
    body: Markup,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { status: StatusCode::OK, title: title.into(), refreshes: false, body }
    }

    /// Has it loaded again every few seconds.
    pub(super) fn refreshing(mut self, refreshes: bool) -> Self {
        self.refreshes = refreshes;
        self
    }

    /// The whole document.
    pub(super) fn document(self) -> String {
        const PAGES: [(&str, &str); 3] =
            [("/console", "Now"), ("/console/orders", "Orders"), ("/console/parked", "Parked")];
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.refreshes { (REFRESH) }
                    title { (self.title) " - RetailFlow" }
                    link rel="stylesheet" href="/console/style.css";
                }
                body {
                    a class="skip" href="#main" { "Skip to the content" }
                    header {
                        strong { "RetailFlow" }
                        nav {
                            @for (target, name) in PAGES {
                                a href=(target) aria-current=[(name == self.title).then_some("page")] { (name) }
                            }
                        }
                    }
                    main id="main" {
                        h1 { (self.title) }
                        (self.body)
                    }
                }
            }
        };
        show_hidden(document.into_string())
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = Response::new(Body::from(self.document()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }
}

/// Why there is no other page: the same outcome that the API would give.
impl From<Refusal> for Page {
    fn from(refusal: Refusal) -> Self {
        let outcome = refusal.outcome();
        let body = html! {
            p class="bad" role="alert" { (outcome.message) }
            dl class="facts" {
                (fact("Code", outcome.code))
                @if let Some(path) = &outcome.path { (fact("About", path)) }
            }
            p { (link("/console", "Back to the numbers")) }
        };
        let status = StatusCode::from_u16(outcome.code.http_status());
        let title = if outcome.code.http_status() == 404 { "Not found" } else { "Refused" };
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), ..Self::new(title, body) }
    }
}

/// Puts the headers on that every answer of the console has.
pub(super) fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    let resource = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers would then say "null" for the origin of our own forms.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (opener, "same-origin"),
        (resource, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The style sheet: readable at night, at 80 columns, and without a mouse.
pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}
