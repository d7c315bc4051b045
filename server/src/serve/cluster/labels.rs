//! What is said of nodes, and asked of them, so that only some of them run partitions.

use std::collections::BTreeMap;

use super::cluster_deps::list;

/// Labels of one node at most.
const LABELS_MAX: usize = 16;
/// Characters of a name, and of a value.
const TEXT_MAX: usize = 63;

/// Reads one label, `name=value`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse_label(text: &str) -> Result<(String, String), String> {
    let is_plain = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= TEXT_MAX && part.chars().all(plain)
    };
    match text.split_once('=') {
        Some((name, value)) if is_plain(name) && is_plain(value) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!(
            "a label is NAME=VALUE, both of letters, digits, `-`, `_` and `.`, {TEXT_MAX} at most, as in zone=a; not {text:?}"
        )),
    }
}

/// Takes labels together.
///
/// # Errors
/// One name twice, or too many of them.
pub fn collect_labels(
    labels: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for (name, value) in labels {
        if let Some(other) = all.insert(name.clone(), value.clone()) {
            return Err(format!("the label {name} is {other} and {value}: give it once"));
        }
    }
    match all.len() {
        count if count > LABELS_MAX => Err(format!("{count} labels, at most {LABELS_MAX}")),
        _ => Ok(all),
    }
}

/// Reads a list of labels, `name=value,name=value`; `off` for none.
///
/// # Errors
/// As [`parse_label`] and [`collect_labels`].
pub fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    collect_labels(list(text).iter().map(|part| parse_label(part)).collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_or_refused_in_words() {
        assert_eq!(parse_label("zone=a"), Ok(("zone".into(), "a".into())));
        for wrong in ["", "zone", "=a", "zone=", "zo ne=a", "zone=a=b", &format!("zone={}", "a".repeat(64))] {
            assert!(parse_label(wrong).is_err(), "{wrong}");
        }
        let both = BTreeMap::from([("disk".into(), "fast".into()), ("zone".into(), "a".into())]);
        assert_eq!(parse_labels(" zone=a, disk=fast,"), Ok(both));
        assert_eq!(parse_labels("off"), Ok(BTreeMap::new()));
        assert!(parse_labels("zone=a,zone=b").unwrap_err().contains("give it once"));
    }
}
