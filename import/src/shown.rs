//! Texts from outside, in messages.

/// The beginning of a text from outside, in quotes, with nothing in it that moves a terminal's cursor.
pub fn shown(text: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 40;
    let mut rest = text.chars();
    let cut: String = rest.by_ref().take(SHOWN_MAX_CHARS).collect();
    let more = if rest.next().is_some() { "…" } else { "" };
    format!("{:?}{more}", cut)
}
