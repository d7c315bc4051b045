//! The parts that pages are made of. `maud` writes the markup and escapes all else.

use std::fmt::{Display, Write};

use maud::{Markup, display, html};

/// A link within the console; both the target and the words are data.
pub(super) fn link(target: &str, words: impl Display) -> Markup {
    html! { a href=(target) { (display(words)) } }
}

/// A cell of a table.
pub(super) fn cell(data: impl Display) -> Markup {
    html! { td { (display(data)) } }
}

/// A cell with a number: they stand below each other.
pub(super) fn number(data: impl Display) -> Markup {
    html! { td class="n" { (display(data)) } }
}

/// A table of what it is called, its columns and its rows; a `#` before a column's name says that it has numbers.
pub(super) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div class="wide" tabindex="0" {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            @match column.strip_prefix('#') {
                                Some(name) => { th scope="col" class="n" { (name) } }
                                None => { th scope="col" { (column) } }
                            }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// A line of a list of facts.
pub(super) fn fact(name: &str, data: impl Display) -> Markup {
    html! { div { dt { (name) } dd { (display(data)) } } }
}

/// The document, with what would not be seen written out. Its own markup has nothing of the kind.
pub(super) fn show_hidden(document: String) -> String {
    if !document.contains(is_hidden) {
        return document;
    }
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        match is_hidden(c) {
            // Writing into memory does not fail.
            true => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
            false => shown.push(c),
        }
    }
    shown
}

/// What would not be seen, or would make what follows it look like something else: controls, and marks that turn the
/// direction of writing.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A path of the console, with parameters.
pub(super) fn path(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}
