//! The names under which a browser may reach an address of this machine.
//!
//! Nobody is asked who they are yet, and a browser on this machine reaches a loopback address. A stranger's page must not
//! be able to: its DNS can lead any name here (DNS rebinding), but no address is a name, and `localhost` never leaves the
//! machine.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::{HeaderMap, Uri};
use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::headers::single;

/// What may stand in `Host`, beside addresses: `http.host_names`.
#[derive(Clone)]
pub(crate) struct HostNames(Arc<[String]>);

impl HostNames {
    /// From the configuration: names, separated by commas.
    pub(crate) fn new(names: &str) -> Self {
        Self(names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
    }

    /// Whether a `Host` is an address or one of the names, with or without a port.
    pub(crate) fn has(&self, host: &str) -> bool {
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
        let named = bracketed.is_none() && self.0.iter().any(|own| own.eq_ignore_ascii_case(name));
        port && (ip || named)
    }

    /// Lets through what was asked under one of the names. A program that sends no `Host` is no browser. A host in the
    /// request's target counts before the header (RFC 9112 section 3.2.2).
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let target = uri.authority().is_none_or(|authority| self.has(authority.as_str()));
        if target && single(headers, "host")?.is_none_or(|host| self.has(host)) {
            return Ok(());
        }
        let text = "this address is one of the machine's own: ask by IP address or as localhost, or list the name in \
                    http.host_names; another name could lead a stranger's page here";
        Err(Refusal::new(Code::Forbidden, text).at("host"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_names_of_ours_are_let_through() {
        let names = HostNames::new("localhost, orders.internal");
        let own = ["127.0.0.1:8081", "10.0.0.7", "localhost:1", "LOCALHOST", "[::1]:8081", "[::1]"];
        for host in own.into_iter().chain(["orders.internal", "Orders.Internal:80"]) {
            assert!(names.has(host), "{host}");
        }
        let others =
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "::1", "[127.0.0.1]"];
        for host in others.into_iter().chain(["[::1]x", "localhost:x", "[localhost]", "a@127.0.0.1", "127.1"])
        {
            assert!(!names.has(host), "{host}");
        }
    }
}
