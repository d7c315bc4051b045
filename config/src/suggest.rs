//! The known name nearest to a mistyped one.

use strsim::levenshtein;

/// The candidate with the fewest edits to `given`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A caller chose the text: a long one is no typing mistake, and the comparison costs length squared.
    if given.len() > 200 {
        return None;
    }
    let (best, edits) = candidates.map(|c| (c, levenshtein(given, c))).min_by_key(|(_, d)| *d)?;
    (edits <= 2 + given.chars().count() / 5).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of characters put in, taken out or changed, by trying all.
    fn tried(a: &[char], b: &[char]) -> usize {
        let (Some((x, rest_a)), Some((y, rest_b))) = (a.split_first(), b.split_first()) else {
            return a.len().max(b.len());
        };
        let changed = tried(rest_a, rest_b) + usize::from(x != y);
        changed.min(tried(rest_a, b) + 1).min(tried(a, rest_b) + 1)
    }

    #[test]
    fn edits_are_counted_in_characters() {
        let mut words = vec![String::new()];
        for at in 0..4 {
            let longer = words.iter().filter(|word| word.chars().count() == at);
            let longer: Vec<_> =
                longer.flat_map(|word| ['a', 'b', 'é'].map(|c| format!("{word}{c}"))).collect();
            words.extend(longer);
        }
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            let chars = |word: &str| word.chars().collect::<Vec<_>>();
            assert_eq!(levenshtein(a, b), tried(&chars(a), &chars(b)), "{a} {b}");
        }
        assert_eq!(levenshtein("kitten", "sitting"), 3);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["log.partitions", "log.segment_bytes"];
        assert_eq!(nearest("log.partition", known.into_iter()), Some("log.partitions"));
        assert_eq!(nearest("weather", known.into_iter()), None);
        assert_eq!(nearest(&"x".repeat(10_000), known.into_iter()), None);
    }
}
