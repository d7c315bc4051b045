//! Numbers out of the metrics' text: the edge has no other way to what the node counts, and needs none.

/// All metrics, as Prometheus reads them.
pub(super) struct Numbers(String);

impl Numbers {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// A metric, all its series together; nothing when there is none.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        self.series(name).map(|(_, value)| value).reduce(|a, b| a + b)
    }

    /// A metric by one of its labels, in the order in which the labels' values are met.
    pub(super) fn by(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut found: Vec<(String, f64)> = Vec::new();
        for (labels, value) in self.series(name) {
            let Some(of) = label_value(labels, label) else { continue };
            match found.iter_mut().find(|(known, _)| *known == of) {
                Some((_, sum)) => *sum += value,
                None => found.push((of, value)),
            }
        }
        found
    }

    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once('}')?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.trim().parse().ok()?))
        })
    }
}

fn label_value(labels: &str, wanted: &str) -> Option<String> {
    let mut rest = labels;
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    c => value.push(c),
                },
                (_, c) => value.push(c),
            }
        };
        if name.trim_start_matches(',') == wanted {
            return Some(value);
        }
        rest = &after[end + 1..];
    }
}

/// A number for people: whole ones without decimals, thousands apart.
pub(super) fn shown(number: f64) -> String {
    if number.fract() != 0.0 || number.abs() >= 1e15 {
        return format!("{number:.2}");
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_and_added() {
        let text = "# HELP a b\na 1\na_max 9\nb{x=\"1\",y=\"p\\\"}q\"} 2\nb{x=\"2\",y=\"p\\\"}q\"} 3.5\nb{x=\"1\"} 1\nc NaN?\n";
        let numbers = Numbers::new(text.into());
        assert_eq!((numbers.sum("a"), numbers.sum("b"), numbers.sum("c")), (Some(1.0), Some(6.5), None));
        assert_eq!(numbers.by("b", "x"), [("1".to_owned(), 3.0), ("2".to_owned(), 3.5)]);
        assert_eq!(numbers.by("b", "y"), [("p\"}q".to_owned(), 5.5)]);
    }

    #[test]
    fn numbers_are_for_people() {
        let all = [0.0, 999.0, 1000.0, 1_234_567.0, -1000.0, 0.5].map(shown);
        assert_eq!(all, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567", "-1\u{202f}000", "0.50"]);
    }
}
