//! Numbers as people read them.

use std::fmt::Display;

/// So many of something.
#[must_use]
pub fn count(of: u64, what: &str) -> String {
    format!("{} {what}{}", number(of), if of == 1 { "" } else { "s" })
}

/// A number as people read it: 56,902.
#[must_use]
pub fn number(number: impl Display) -> String {
    let digits = number.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let mut text = String::with_capacity(sign.len() + digits.len() + digits.len() / 3);
    text.push_str(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is shown came from strangers: it may hold anything, also what moves a terminal's cursor.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([number(0), number(999), number(1000), number(56_902)], ["0", "999", "1,000", "56,902"]);
        assert_eq!([number(-50), number(-500), number(-1000)], ["-50", "-500", "-1,000"]);
        assert_eq!([count(1, "line"), count(2000, "line")], ["1 line", "2,000 lines"]);
    }
}
