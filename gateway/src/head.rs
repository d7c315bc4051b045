//! What hyper does not tell of a request's head, seen in its bytes: a length beside a transfer encoding, of which hyper drops the
//! length, and lines that end without a carriage return. A proxy before us may read either another way (RFC 9112 sections 2.2, 6.3).
//!
//! It looks at heads that begin a read while no request is under way, as all do whose sender waits for the answer before.

/// What the first line of a head ends with.
const VERSIONS: [&[u8]; 2] = [b"HTTP/1.1", b"HTTP/1.0"];
/// A version and a carriage return.
const TAIL_BYTES: usize = 9;
/// The longest of the names that are looked for, with their colon.
const NAME_BYTES: usize = "transfer-encoding:".len();

/// How a head can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ambiguous {
    /// It says twice how long its body is.
    TwoLengths = 1,
    /// A line ends with a line feed alone.
    BareLineFeed = 2,
}

impl Ambiguous {
    /// By its number; 0 for none.
    pub(crate) const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::TwoLengths),
            2 => Some(Self::BareLineFeed),
            _ => None,
        }
    }

    /// What is wrong and what to do.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::TwoLengths => {
                "send Content-Length or Transfer-Encoding, not both: two readers could see two ends of the body"
            }
            Self::BareLineFeed => "each line of a request's head ends with a carriage return and a line feed",
        }
    }
}

/// A head, as far as it has come.
#[derive(Default)]
pub(crate) struct HeadScan {
    /// The beginning of the line that is under way.
    begun: [u8; NAME_BYTES],
    /// Its end, as far as it has come.
    tail: [u8; TAIL_BYTES],
    bytes: usize,
    has_first_line: bool,
    has_length: bool,
    has_encoding: bool,
    ended: bool,
}

impl HeadScan {
    /// Looks at bytes that came. What follows the head's end is not looked at.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> Option<Ambiguous> {
        let mut rest = bytes;
        while !self.ended && !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            let room = NAME_BYTES.saturating_sub(self.bytes).min(line.len());
            if room > 0 {
                self.begun[self.bytes..self.bytes + room].copy_from_slice(&line[..room]);
            }
            self.bytes += line.len();
            let more = &line[line.len().saturating_sub(TAIL_BYTES)..];
            self.tail.rotate_left(more.len());
            self.tail[TAIL_BYTES - more.len()..].copy_from_slice(more);
            // The rest of the line is still to come.
            end?;
            if let Some(wrong) = self.end_line() {
                return Some(wrong);
            }
            rest = &after[1..];
        }
        None
    }

    fn next_line(&mut self) {
        (self.bytes, self.tail) = (0, [0; TAIL_BYTES]);
    }

    fn end_line(&mut self) -> Option<Ambiguous> {
        let is_whole = self.tail.ends_with(b"\r");
        let is_empty = self.bytes == 0 || (self.bytes == 1 && is_whole);
        if !self.has_first_line {
            // Empty lines before it are passed over. What is no request's beginning is the rest of a body that nobody wanted.
            let line = self.tail.strip_suffix(b"\r").unwrap_or(&self.tail);
            self.has_first_line = VERSIONS.iter().any(|version| line.ends_with(version));
            self.ended = !self.has_first_line && !is_empty;
            if !self.has_first_line {
                self.next_line();
                return None;
            }
        }
        if !is_whole {
            return Some(Ambiguous::BareLineFeed);
        }
        let begun = &self.begun[..self.bytes.min(NAME_BYTES)];
        let is = |name: &[u8]| begun.get(..name.len()).is_some_and(|begun| begun.eq_ignore_ascii_case(name));
        self.has_length |= is(b"content-length:");
        self.has_encoding |= is(b"transfer-encoding:");
        self.ended = is_empty;
        self.next_line();
        (self.ended && self.has_length && self.has_encoding).then_some(Ambiguous::TwoLengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, piece: usize) -> Option<Ambiguous> {
        let mut scan = HeadScan::default();
        text.as_bytes().chunks(piece).find_map(|bytes| scan.see(bytes))
    }

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_seen_however_they_come() {
        let (both, bare) = (Some(Ambiguous::TwoLengths), Some(Ambiguous::BareLineFeed));
        for (text, wanted) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nX: content-length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", both),
            ("POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\nHost: x\r\ncontent-length:3\r\n\r\n", both),
            ("{\n\"a\":1\n}\nGET / HTTP/1.1\nHost: x\r\n\r\n", None),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", bare),
            ("GET / HTTP/1.1\r\nHost: x\n\r\n", bare),
            ("GET / HTTP/1.1\r\nHost: x\r\n\n", bare),
            ("GET / HTTP/1.1\r\nX: a\nb\r\n\r\n", bare),
        ] {
            for piece in [1, 2, 7, 1000] {
                assert_eq!(seen(text, piece), wanted, "{text:?} in pieces of {piece}");
            }
        }
    }
}
