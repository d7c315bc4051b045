//! Query parameters: each known, each at most once. A typo must not be ignored: it would show other orders.

use std::borrow::Cow;

use retailflow_engine::wire::Code;

use crate::answer::Refusal;
use crate::token::TOKEN_MAX_CHARS;

/// The parameters of a request.
pub(crate) struct Query<'a> {
    given: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads a query string that may have these parameters.
    pub(crate) fn parse(query: Option<&'a str>, known: &[&'static str]) -> Result<Self, Refusal> {
        let mut given: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                let text = match known {
                    [] => "this path takes no parameters".to_owned(),
                    known => format!("there is no such parameter; allowed are {}", known.join(", ")),
                };
                return Err(Refusal::new(Code::UnknownField, text).at("query"));
            };
            if given.iter().any(|(given, _)| *given == name) {
                return Err(Refusal::new(Code::DuplicateField, "give it once").at(name));
            }
            given.push((name, value));
        }
        Ok(Self { given })
    }

    /// A parameter's text.
    pub(crate) fn text(&self, wanted: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &**value)
    }

    /// A position or place that an earlier answer gave.
    pub(crate) fn token(&self, wanted: &str) -> Result<Option<&str>, Refusal> {
        match self.text(wanted) {
            Some(text) if text.is_empty() || text.len() > TOKEN_MAX_CHARS => {
                let text = "give it as an earlier answer had it, or leave it out";
                Err(Refusal::new(Code::InvalidField, text).at(wanted))
            }
            token => Ok(token),
        }
    }

    /// A whole number within a range.
    pub(crate) fn number(&self, wanted: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.text(wanted) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (min..=max).contains(&number) => Ok(Some(number)),
            _ => {
                let text = format!("a whole number from {min} to {max} is expected");
                Err(Refusal::new(Code::InvalidField, text).at(wanted))
            }
        }
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(
        &self,
        wanted: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(wanted) else { return Ok(None) };
        if let Some(found) = all.iter().copied().find(|one| name(*one) == text) {
            return Ok(Some(found));
        }
        let known: Vec<_> = all.iter().map(|one| name(*one)).collect();
        let text = format!("expected one of {}", known.join(", "));
        Err(Refusal::new(Code::InvalidField, text).at(wanted))
    }
}
