//! Rows of a CSV file (RFC 4180), read so that nothing a file can hold makes memory grow or a line number wrong.
//!
//! The reader is our own because a row must be bounded *while* it is read (an open quote may swallow gigabytes), because
//! a quote that is never closed must be told rather than closed silently, and because messages name physical lines, blank
//! ones and those within quotes counted.
//!
//! Rows end with LF, CRLF or CR; blank lines are no rows; a byte order mark is skipped. A quote opens a quoted cell only
//! at the beginning of the cell, anywhere else it is a character like any other.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// Largest row, in bytes.
pub(crate) const ROW_MAX_BYTES: usize = 1024 * 1024;
/// Most cells of a row.
pub(crate) const CELLS_MAX: usize = 4096;

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

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
    /// Something stands between a closing quote and the next comma.
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
    pub(crate) line: u64,
    /// The line it ends in.
    pub(crate) last_line: u64,
    /// What is wrong with it.
    pub(crate) fault: Option<RecordFault>,
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

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.fault = None;
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < ROW_MAX_BYTES {
            self.bytes.push(byte);
        } else {
            self.fault.get_or_insert(RecordFault::TooLong);
        }
    }

    fn end_cell(&mut self) {
        if self.ends.len() < CELLS_MAX {
            self.ends.push(self.bytes.len());
        } else {
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
}

impl<R: Read> Records<R> {
    /// Rows of `input`.
    ///
    /// # Errors
    /// The input cannot be read, or is UTF-16 ([`io::ErrorKind::InvalidData`]).
    pub(crate) fn new(mut input: R) -> io::Result<Self> {
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
        Ok(Self { input, line: 1, quote_line: 0, after_cr: false, state: State::Start })
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
            (State::Start, b'"') => {
                *self.quote_line = *self.line;
                *self.state = State::Quoted;
            }
            (_, b',') => {
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
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Record> {
        // One byte at a time as well: what is cut anywhere must read the same.
        let whole = drain(Records::new(text).unwrap());
        let slow = drain(Records::new(OneByOne(text)).unwrap());
        assert_eq!(format!("{whole:?}"), format!("{slow:?}"));
        whole
    }

    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(to.len()).min(1);
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn drain<R: Read>(mut records: Records<R>) -> Vec<Record> {
        let mut found = Vec::new();
        let mut record = Record::default();
        while records.read(&mut record).unwrap() {
            found.push(record.clone());
        }
        found
    }

    fn cells(record: &Record) -> Vec<String> {
        record.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
    }

    #[test]
    fn rows_and_cells_are_told_apart() {
        let cases: [(&[u8], &[&[&str]]); 8] = [
            (b"", &[]),
            (b"\n\r\n\r", &[]),
            (b"a,b\n1,2", &[&["a", "b"], &["1", "2"]]),
            (b"a,b\r\n1,2\r\n", &[&["a", "b"], &["1", "2"]]),
            (b"a\r1\r", &[&["a"], &["1"]]),
            (b",\n\"\"", &[&["", ""], &[""]]),
            (b"\"a,\"\"b\"\"\r\nc\",d", &[&["a,\"b\"\r\nc", "d"]]),
            (b"\xef\xbb\xbf\"a\",5\" disc\n", &[&["a", "5\" disc"]]),
        ];
        for (text, expected) in cases {
            let found: Vec<Vec<String>> = all(text).iter().map(cells).collect();
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(text));
            assert!(all(text).iter().all(|record| record.fault.is_none()));
        }
    }

    #[test]
    fn lines_are_counted_as_an_editor_does() {
        let records = all(b"h\n\n\"a\nb\"\r\n\r\nc\rd\n");
        let lines: Vec<(u64, u64)> = records.iter().map(|record| (record.line, record.last_line)).collect();
        assert_eq!(lines, [(1, 1), (3, 4), (6, 6), (7, 7)]);
    }

    #[test]
    fn broken_quotes_are_told() {
        let records = all(b"\"a\"b,c\nd\n\"e\nf,g\n");
        let faults: Vec<Option<RecordFault>> = records.iter().map(|record| record.fault).collect();
        let (text, open) = (RecordFault::TextAfterQuote { line: 1 }, RecordFault::OpenQuote { line: 3 });
        assert_eq!(faults, [Some(text), None, Some(open)]);
        assert_eq!(cells(&records[0]), ["ab", "c"]);
    }

    #[test]
    fn a_huge_row_is_cut_and_the_next_one_read() {
        let huge = io::repeat(b'x').take(20 * ROW_MAX_BYTES as u64);
        let records = drain(Records::new(huge.chain(&b",1\n2\n"[..])).unwrap());
        assert_eq!(records[0].fault, Some(RecordFault::TooLong));
        assert!(records[0].bytes.capacity() <= 2 * ROW_MAX_BYTES);
        assert_eq!((cells(&records[1]), records[1].line), (vec!["2".to_owned()], 2));
        let commas = io::repeat(b',').take(ROW_MAX_BYTES as u64);
        let records = drain(Records::new(commas).unwrap());
        assert_eq!((records[0].fault, records[0].len()), (Some(RecordFault::TooManyCells), CELLS_MAX));
    }

    #[test]
    fn utf_16_is_not_guessed_at() {
        let error = Records::new(&b"\xff\xfea\0"[..]).err().unwrap();
        assert!(error.to_string().contains("UTF-16"), "{error}");
    }
}
