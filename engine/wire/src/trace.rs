//! W3C Trace Context: what a command is part of.

use super::limits::{TRACEPARENT_MAX_CHARS, TRACESTATE_MAX_CHARS};

/// W3C Trace Context, as the caller gave it; what does not follow that standard is dropped, as it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// `version-trace-parent-flags`, in lower-case hexadecimal.
    pub traceparent: Option<String>,
    /// What vendors add to it.
    pub tracestate: Option<String>,
}

impl Trace {
    /// What two headers say; a `traceparent` that does not follow the standard takes its `tracestate` with it.
    #[must_use]
    pub fn from_headers(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let Some(traceparent) = traceparent.filter(|text| is_traceparent(text)) else {
            return Self::default();
        };
        let tracestate = tracestate.filter(|text| text.len() <= TRACESTATE_MAX_CHARS);
        Self { traceparent: Some(traceparent.to_owned()), tracestate: tracestate.map(str::to_owned) }
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(&self) -> Option<[u8; 16]> {
        let hex = self.traceparent.as_deref()?.get(3..35)?;
        Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes())
    }
}

pub(super) fn is_traceparent(text: &str) -> bool {
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let some = |s: &str| hex(s) && s.bytes().any(|b| b != b'0');
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let [version, trace, parent, flags, rest @ ..] = parts.as_slice() else { return false };
    let sizes = (version.len(), trace.len(), parent.len(), flags.len()) == (2, 32, 16, 2);
    let known = *version != "ff" && (rest.is_empty() || *version != "00");
    let plain = text.len() <= TRACEPARENT_MAX_CHARS && text.bytes().all(|b| b.is_ascii_graphic());
    sizes && known && plain && hex(version) && some(trace) && some(parent) && hex(flags)
}
