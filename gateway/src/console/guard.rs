//! Who may ask: a browser that an operator pointed here, and no page of somebody else's.
//!
//! Nobody is asked who they are yet, so that the browser of an operator must not be used by strangers: a name that a
//! stranger's DNS leads here is no name of ours, and a form that stands on another page does nothing.

use std::net::IpAddr;

use hyper::{HeaderMap, Method};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::headers::single;

/// Lets through what may be answered.
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = single(headers, "host")?;
    if !host.is_some_and(is_own_name) {
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

/// A stranger's DNS can lead any name here but these: an address is no name, and `localhost` never leaves the machine.
fn is_own_name(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match bracketed {
        Some((name, port)) => (name, port.strip_prefix(':').or((port.is_empty()).then_some(""))),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("")),
        },
    };
    let port = port.is_some_and(|port| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()));
    let ip = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == bracketed.is_some());
    port && (ip || (bracketed.is_none() && name.eq_ignore_ascii_case("localhost")))
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
    fn only_addresses_and_localhost_are_names_of_ours() {
        for host in ["127.0.0.1:8081", "10.0.0.7", "localhost:1", "LOCALHOST", "[::1]:8081", "[::1]"] {
            assert!(is_own_name(host), "{host}");
        }
        let others =
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "::1", "[127.0.0.1]"];
        for host in others.into_iter().chain(["[::1]x", "localhost:x", "[localhost]", "a@127.0.0.1", "127.1"])
        {
            assert!(!is_own_name(host), "{host}");
        }
        assert!(check(&Method::GET, &headers(&[])).is_err());
    }

    #[test]
    fn a_form_must_come_from_a_page_of_ours() {
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
        for given in own {
            assert!(check(&Method::POST, &headers(&[&[HOST], *given].concat())).is_ok(), "{given:?}");
        }
        for given in strange {
            assert!(check(&Method::POST, &headers(&[&[HOST], *given].concat())).is_err(), "{given:?}");
            assert!(check(&Method::GET, &headers(&[&[HOST], *given].concat())).is_ok(), "{given:?}");
        }
    }
}
