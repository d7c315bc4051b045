//! A writer of HTML that cannot forget to escape: markup is text of this program, and all else is data.

use std::fmt::{self, Display, Write};

/// A piece of a page.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup. `&'static str` keeps out whatever came over a wire or from a disk.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Data, between tags or within the quotes of an attribute.
    pub(super) fn text(&mut self, data: impl Display) -> &mut Self {
        // Writing into memory does not fail.
        let _ = write!(Escaping(&mut self.0), "{data}");
        self
    }

    /// A link within the console; both the target and the words are data.
    pub(super) fn link(&mut self, target: impl Display, words: impl Display) -> &mut Self {
        self.raw("<a href=\"").text(target).raw("\">").text(words).raw("</a>")
    }

    /// A cell of a table.
    pub(super) fn cell(&mut self, data: impl Display) -> &mut Self {
        self.raw("<td>").text(data).raw("</td>")
    }

    /// A cell with a number: they stand below each other.
    pub(super) fn number(&mut self, data: impl Display) -> &mut Self {
        self.raw("<td class=n>").text(data).raw("</td>")
    }

    /// The head of a table: what it is called and its columns; a `#` before a column's name says that it has numbers.
    pub(super) fn table(&mut self, caption: &'static str, columns: &[&'static str]) -> &mut Self {
        self.raw("<div class=wide tabindex=0><table><caption>").raw(caption).raw("</caption><thead><tr>");
        for column in columns {
            match column.strip_prefix('#') {
                Some(name) => self.raw("<th scope=col class=n>").raw(name),
                None => self.raw("<th scope=col>").raw(column),
            };
            self.raw("</th>");
        }
        self.raw("</tr></thead><tbody>")
    }

    /// The end of a table.
    pub(super) fn table_end(&mut self) -> &mut Self {
        self.raw("</tbody></table></div>")
    }

    /// A line of a list of facts.
    pub(super) fn fact(&mut self, name: &'static str, data: impl Display) -> &mut Self {
        self.raw("<div><dt>").raw(name).raw("</dt><dd>").text(data).raw("</dd></div>")
    }

    /// What was written.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes what is written through it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if is_hidden(c) => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
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
