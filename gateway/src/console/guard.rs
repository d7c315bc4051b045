//! Who may ask: a browser that an operator pointed here, and no page of somebody else's.
//!
//! Nobody is asked who they are yet, so that the browser of an operator must not be used by strangers: a name that a
//! stranger's DNS leads here is no name of ours, and a form that stands on another page does nothing.

use hyper::{HeaderMap, Method};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::headers::single;
use crate::host::HostNames;

/// Lets through what may be answered.
pub(super) fn check(names: &HostNames, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = single(headers, "host")?;
    if !host.is_some_and(|host| names.has(host)) {
        let text = "open the console by the address it listens on, or as localhost (over an SSH tunnel, say): \
                    another name could lead a stranger's page here";
        return Err(Refusal::new(Code::Forbidden, text).at("host"));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let site = single(headers, "sec-fetch-site")?;
    let origin = single(headers, "origin")?;
    let of_ours = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some() && rest == host
    };
    let site_says_so = site.is_none_or(|site| site == "same-origin");
    let origin_says_so = origin.is_none_or(of_ours);
    // A program says neither; it has the API, which wants a header that no form can send.
    if site_says_so && origin_says_so && (site.is_some() || origin.is_some()) {
        return Ok(());
    }
    let text = "this form was not sent by a page of the console; open the console and press the button there";
    Err(Refusal::new(Code::Forbidden, text).at("origin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_form_must_come_from_a_page_of_ours() {
        let names = HostNames::new("localhost");
        const HOST: (&str, &str) = ("host", "127.0.0.1:8081");
        let own: &[&[(&str, &str)]] = &[
            &[("origin", "http://127.0.0.1:8081")],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")],
        ];
        let strange: &[&[(&str, &str)]] = &[
            &[],
            &[("origin", "null")],
            &[("origin", "http://evil.example")],
            &[("origin", "http://127.0.0.1:8080")],
            &[("sec-fetch-site", "cross-site")],
            // Another port of this machine, or an address typed in: not a page of ours either.
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
        ];
        assert!(check(&names, &Method::GET, &headers(&[])).is_err());
        for given in own {
            assert!(check(&names, &Method::POST, &headers(&[&[HOST], *given].concat())).is_ok(), "{given:?}");
        }
        for given in strange {
            assert!(
                check(&names, &Method::POST, &headers(&[&[HOST], *given].concat())).is_err(),
                "{given:?}"
            );
            assert!(check(&names, &Method::GET, &headers(&[&[HOST], *given].concat())).is_ok(), "{given:?}");
        }
    }
}
