//! Rows of a CSV file (RFC 4180), read so that nothing a file can hold makes memory grow or a line number wrong.
//!
//! The reader is our own because a row must be bounded *while* it is read (an open quote may swallow gigabytes), because
//! a quote that is never closed must be told rather than closed silently, and because messages name physical lines, blank
//! ones and those within quotes counted.
//!
//! Rows end with LF, CRLF or CR; blank lines are no rows; a byte order mark is skipped. A quote opens a quoted cell only
//! at the beginning of the cell, anywhere else it is a character like any other; where a file has no quoting, everywhere.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// Largest row, in bytes.
pub(crate) const ROW_MAX_BYTES: usize = 1024 * 1024;
/// Most cells of a row.
pub(crate) const CELLS_MAX: usize = 4096;

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// How a file sets its cells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Stands between two cells.
    pub delimiter: u8,
    /// Whether a cell in quotes may hold delimiters and ends of lines.
    pub quoting: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quoting: true }
    }
}

/// What is wrong with a row as a row. Its cells can be looked at all the same, as far as they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFault {
    /// More than [`ROW_MAX_BYTES`]; what is beyond was not kept.
    TooLong,
    /// More than [`CELLS_MAX`] cells.
    TooManyCells,
    /// The file ends within quotes.
    OpenQuote {
        /// The line in which they were opened.
        line: u64,
    },
    /// Something stands between a closing quote and the next delimiter.
    TextAfterQuote {
        /// The line.
        line: u64,
    },
}

/// One row. Made once and used again for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line it begins in, from 1.
    pub line: u64,
    /// The line it ends in.
    pub last_line: u64,
    /// What is wrong with it.
    pub fault: Option<RecordFault>,
    /// Not all of it was kept.
    pub truncated: bool,
}

impl Record {
    /// How many cells it has.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes its cells have.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A cell, counted from 0, quotes taken off.
    pub(crate) fn cell(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start..end])
    }

    /// All cells.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.cell(index))
    }

    /// Whether there is nothing in any of its cells.
    pub(crate) fn is_blank(&self) -> bool {
        self.fault.is_none() && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.fault = None;
        self.truncated = false;
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < ROW_MAX_BYTES {
            self.bytes.push(byte);
        } else {
            self.truncated = true;
            self.fault.get_or_insert(RecordFault::TooLong);
        }
    }

    fn end_cell(&mut self) {
        if self.ends.len() < CELLS_MAX {
            self.ends.push(self.bytes.len());
        } else {
            self.truncated = true;
            self.fault.get_or_insert(RecordFault::TooManyCells);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind a quote within quotes: it closes them, or is the first of two that stand for one.
    Quote,
}

/// Reads rows.
pub(crate) struct Records<R> {
    input: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    line: u64,
    quote_line: u64,
    after_cr: bool,
    state: State,
    dialect: Dialect,
}

impl<R: Read> Records<R> {
    /// Rows of `input`.
    ///
    /// # Errors
    /// The input cannot be read, or is UTF-16 ([`io::ErrorKind::InvalidData`]).
    pub(crate) fn new(mut input: R, dialect: Dialect) -> io::Result<Self> {
        let mut head = Vec::with_capacity(UTF8_MARK.len());
        input.by_ref().take(UTF8_MARK.len() as u64).read_to_end(&mut head)?;
        if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
            let text = "it is encoded as UTF-16; save it as UTF-8 (\"CSV UTF-8\" in Excel)";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if head == UTF8_MARK {
            head.clear();
        }
        let input = BufReader::with_capacity(128 * 1024, Cursor::new(head).chain(input));
        Ok(Self { input, line: 1, quote_line: 0, after_cr: false, state: State::Start, dialect })
    }

    /// Reads the next row; `false` at the end.
    pub(crate) fn read(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        record.line = self.line;
        self.state = State::Start;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(self.end_of_file(record));
            }
            // Lent out and given back, so that the state can be changed while reading from it.
            let mut used = 0;
            let mut ended = false;
            let mut at = Place {
                line: &mut self.line,
                quote_line: &mut self.quote_line,
                after_cr: &mut self.after_cr,
                state: &mut self.state,
                dialect: self.dialect,
            };
            while used < buffer.len() && !ended {
                ended = at.step(buffer[used], record);
                used += 1;
            }
            self.input.consume(used);
            if ended {
                return Ok(true);
            }
        }
    }

    fn end_of_file(&mut self, record: &mut Record) -> bool {
        if self.state == State::Start && record.ends.is_empty() {
            return false;
        }
        if self.state == State::Quoted {
            // Also where it was too long: the open quote is why.
            record.fault = Some(RecordFault::OpenQuote { line: self.quote_line });
        }
        record.end_cell();
        record.last_line = self.line;
        true
    }
}

/// Where a reader is.
struct Place<'a> {
    line: &'a mut u64,
    quote_line: &'a mut u64,
    after_cr: &'a mut bool,
    state: &'a mut State,
    dialect: Dialect,
}

impl Place<'_> {
    /// Takes one byte; `true` when it ends the row.
    fn step(&mut self, byte: u8, record: &mut Record) -> bool {
        if std::mem::take(self.after_cr) && byte == b'\n' {
            return false;
        }
        match (*self.state, byte) {
            (State::Quoted, b'"') => *self.state = State::Quote,
            (State::Quoted, _) => {
                *self.line += u64::from(byte == b'\n');
                record.push(byte);
            }
            (State::Quote, b'"') => {
                record.push(byte);
                *self.state = State::Quoted;
            }
            (State::Start, b'"') if self.dialect.quoting => {
                *self.quote_line = *self.line;
                *self.state = State::Quoted;
            }
            (_, byte) if byte == self.dialect.delimiter => {
                record.end_cell();
                *self.state = State::Start;
            }
            (state, b'\n' | b'\r') => {
                let blank = state == State::Start && record.ends.is_empty();
                record.last_line = *self.line;
                *self.line += 1;
                *self.after_cr = byte == b'\r';
                if blank {
                    record.line = *self.line;
                    return false;
                }
                record.end_cell();
                return true;
            }
            (state, _) => {
                if state == State::Quote {
                    record.fault.get_or_insert(RecordFault::TextAfterQuote { line: *self.line });
                }
                record.push(byte);
                *self.state = State::Plain;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
