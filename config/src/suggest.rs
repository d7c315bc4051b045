//! The known name nearest to a mistyped one.

/// The candidate with the fewest edits to `given`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A caller chose the text: a long one is no typing mistake, and the comparison costs length squared.
    if given.len() > 200 {
        return None;
    }
    let (best, edits) = candidates.map(|c| (c, distance(given, c))).min_by_key(|(_, d)| *d)?;
    (edits <= 2 + given.chars().count() / 5).then_some(best)
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("log", "log"), 0);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["log.partitions", "log.segment_bytes"];
        assert_eq!(nearest("log.partition", known.into_iter()), Some("log.partitions"));
        assert_eq!(nearest("weather", known.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(10_000), known.into_iter()), None);
    }
}
