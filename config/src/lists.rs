//! Settings that are lists: text with commas, or a list of texts; kept as text with commas.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::limits::{Allowed, LIST_MAX_CHARS, Schemes};

/// What stands for a list without an element.
const OFF: &str = "off";
/// Longest name and value of a label, in characters.
const LABEL_MAX_CHARS: usize = 63;

/// Whether a key is a list.
pub(crate) const fn is_list(allowed: Allowed) -> bool {
    matches!(allowed, Allowed::Servers(_) | Allowed::Hosts | Allowed::Labels)
}

/// A list as a shell or another program writes it, `["a","b"]`; what is none stays text.
pub(crate) fn from_text(text: &str) -> Value {
    if text.starts_with('[')
        && let Ok(mut table) = format!("list = {text}").parse::<Table>()
        && let Some(list) = table.remove("list")
    {
        return list;
    }
    Value::String(text.to_owned())
}

/// The elements, separated by commas; `None` where it is no list of this kind.
pub(crate) fn joined(value: &Value, allowed: Allowed) -> Option<String> {
    let elements: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let elements: Vec<&str> =
        elements.into_iter().map(str::trim).filter(|element| !element.is_empty()).collect();
    let is_off = match value {
        Value::Array(_) => elements.is_empty(),
        _ => elements == [OFF],
    };
    if is_off && allowed != Allowed::Hosts {
        return Some(OFF.to_owned());
    }
    let mut names = BTreeSet::new();
    for element in &elements {
        let fits = match allowed {
            Allowed::Servers(schemes) => is_address(element, schemes),
            Allowed::Hosts => is_host(element),
            Allowed::Labels => label(element).is_some_and(|name| names.insert(name)),
            _ => false,
        };
        if !fits {
            return None;
        }
    }
    let joined = elements.join(",");
    (!elements.is_empty() && joined.chars().count() <= LIST_MAX_CHARS).then_some(joined)
}

/// `scheme://user:password@host:port/path`, of which only the host has to be there.
pub(crate) fn is_address(text: &str, schemes: Schemes) -> bool {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if schemes.names.contains(&scheme) => rest,
        None if schemes.is_optional => text,
        _ => return false,
    };
    let rest = rest.split_once('/').map_or(rest, |(rest, _)| rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let (host, port) = match place.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, port))
                if host.parse::<std::net::Ipv6Addr>().is_ok()
                    && (port.is_empty() || port.starts_with(':')) =>
            {
                ("v6", port.strip_prefix(':'))
            }
            _ => return false,
        },
        None => place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let is_printable = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    is_printable && is_host(host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A text as it may be told: without who connects to the servers in it, and their passwords.
pub(crate) fn without_users(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        told.push_str(before);
        let end = after.find(['/', ',', '"', ' ', '?']).unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(user) => {
                told.push('…');
                rest = &after[user..];
            }
            None => rest = after,
        }
    }
    told.push_str(rest);
    told
}

fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !text.is_empty() && text.len() <= 253 && text.chars().all(plain) && !text.starts_with(['-', '.'])
}

/// The name of a label.
fn label(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    let plain = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (1..=LABEL_MAX_CHARS).contains(&part.len()) && part.chars().all(fits)
    };
    (plain(name) && plain(value)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_connects_is_told_nobody() {
        let told = without_users("nats://ann:secret@a:4222, http://b:2379/x@y, tls://tok@[::1]:4222");
        assert_eq!(told, "nats://…@a:4222, http://b:2379/x@y, tls://…@[::1]:4222");
        assert_eq!(without_users("info,retailflow=debug"), "info,retailflow=debug");
    }
}
