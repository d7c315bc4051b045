//! Bytes to numbered lines, in chunks that are bounded in bytes.
//!
//! A chunk is what one read gave: at most [`READ_BYTES`], beside the beginning of its first line. Of a line over the limit
//! only the beginning is kept and the rest is counted.

use std::io::{self, BufRead, Read};

use retailflow_engine::ports::{Body, Delivery};

/// How much is read at once.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// How much of a line over the limit is kept.
pub(super) const PREFIX_BYTES: usize = 4 * 1024;

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads lines.
pub(super) struct Lines<R> {
    input: R,
    buffer: Box<[u8]>,
    /// The beginning of a line whose end has not been read; one byte over the limit, for a CR that may belong to its end.
    begun: Vec<u8>,
    /// How long that line is so far.
    begun_bytes: u64,
    /// Is its last byte so far a CR?
    ends_with_cr: bool,
    line_max_bytes: usize,
    line: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Lines of `input`, of at most `line_max_bytes`.
    pub(super) fn new(input: R, line_max_bytes: usize) -> Self {
        Self {
            input,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            begun: Vec::new(),
            begun_bytes: 0,
            ends_with_cr: false,
            line_max_bytes,
            line: 0,
            ended: false,
        }
    }

    /// The lines that the next reads complete, at least one; `None` at the end. An error loses nothing: the line that was
    /// begun goes on with what the next read gives.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<Vec<Delivery>>> {
        let mut chunk = Vec::new();
        while chunk.is_empty() && !self.ended {
            let count = match self.input.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if count == 0 {
                self.ended = true;
                if self.begun_bytes > 0 {
                    self.end_line(&mut chunk);
                }
                break;
            }
            // Taken out while its parts are handed to the line.
            let buffer = std::mem::take(&mut self.buffer);
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let before = rest;
                // Reading from memory cannot fail. It finds the end much faster than looking at each byte.
                let length = rest.skip_until(b'\n').unwrap_or(before.len());
                match before[..length].strip_suffix(b"\n") {
                    Some(line) => {
                        self.extend(line);
                        self.end_line(&mut chunk);
                    }
                    None => self.extend(before),
                }
            }
            self.buffer = buffer;
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn extend(&mut self, part: &[u8]) {
        let room = self.keep_bytes().saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&part[..part.len().min(room)]);
        self.begun_bytes += part.len() as u64;
        if let Some(last) = part.last() {
            self.ends_with_cr = *last == b'\r';
        }
    }

    /// How much of a line is kept until it is known whether it is over the limit.
    fn keep_bytes(&self) -> usize {
        self.line_max_bytes + 1 + if self.line == 0 { BYTE_ORDER_MARK.len() } else { 0 }
    }

    fn end_line(&mut self, chunk: &mut Vec<Delivery>) {
        let mut bytes = std::mem::take(&mut self.begun);
        let mut length_bytes = self.begun_bytes - u64::from(self.ends_with_cr);
        if self.line == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
            length_bytes -= BYTE_ORDER_MARK.len() as u64;
        }
        self.line += 1;
        self.begun_bytes = 0;
        self.ends_with_cr = false;
        let body = match usize::try_from(length_bytes) {
            Ok(length) if length <= self.line_max_bytes => {
                bytes.truncate(length);
                if bytes.trim_ascii().is_empty() {
                    return;
                }
                Body::Bytes(bytes)
            }
            _ => {
                bytes.truncate(PREFIX_BYTES.min(self.line_max_bytes));
                bytes.shrink_to_fit();
                Body::TooLong { prefix: bytes, length_bytes }
            }
        };
        chunk.push(Delivery { position: self.line, body });
    }

    /// How much memory it holds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.len() + self.begun.capacity()
    }
}
