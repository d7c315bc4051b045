//! Whether an input ended in the middle of a line: a file that is still written, or that a full disk cut off.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Knows how an input ended, once it has.
#[derive(Clone, Default)]
pub(crate) struct InputEnd(Arc<AtomicBool>);

impl InputEnd {
    /// The same input, looked at on the way.
    pub(crate) fn watch<R: Read>(&self, input: R) -> impl Read + use<R> {
        EndNoticingReader { input, end: self.clone() }
    }

    /// Whether the last line that was read has no end.
    pub(super) fn is_within_a_line(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

struct EndNoticingReader<R> {
    input: R,
    end: InputEnd,
}

impl<R: Read> Read for EndNoticingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if let Some(last) = buffer[..read].last() {
            self.end.0.store(*last != b'\n', Ordering::Release);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_within_a_line_is_seen() {
        for (text, within) in [("", false), ("a\n", false), ("a\nb", true)] {
            let end = InputEnd::default();
            io::copy(&mut end.watch(text.as_bytes()), &mut io::sink()).unwrap();
            assert_eq!(end.is_within_a_line(), within, "{text:?}");
        }
    }
}
