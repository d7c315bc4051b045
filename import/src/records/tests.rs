use super::*;

fn all(text: &[u8]) -> Vec<Record> {
    // One byte at a time as well: what is cut anywhere must read the same.
    let whole = drain(Records::new(text, Dialect::default()).unwrap());
    let slow = drain(Records::new(OneByOne(text), Dialect::default()).unwrap());
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
    let records = drain(Records::new(huge.chain(&b",1\n2\n"[..]), Dialect::default()).unwrap());
    assert_eq!(records[0].fault, Some(RecordFault::TooLong));
    assert!(records[0].bytes.capacity() <= 2 * ROW_MAX_BYTES);
    assert_eq!((cells(&records[1]), records[1].line), (vec!["2".to_owned()], 2));
    let commas = io::repeat(b',').take(ROW_MAX_BYTES as u64);
    let records = drain(Records::new(commas, Dialect::default()).unwrap());
    assert_eq!((records[0].fault, records[0].len()), (Some(RecordFault::TooManyCells), CELLS_MAX));
}

#[test]
fn utf_16_is_not_guessed_at() {
    let error = Records::new(&b"\xff\xfea\0"[..], Dialect::default()).err().unwrap();
    assert!(error.to_string().contains("UTF-16"), "{error}");
}

#[test]
fn other_delimiters_and_no_quoting_are_read_as_they_are_said() {
    let tab = Dialect { delimiter: b'\t', quoting: false };
    let found = drain(Records::new(&b"a\t\"5 inch\nb,c\t\"\"\n"[..], tab).unwrap());
    let found: Vec<Vec<String>> = found.iter().map(cells).collect();
    assert_eq!(found, [["a", "\"5 inch"], ["b,c", "\"\""]]);
    let semicolon = Dialect { delimiter: b';', quoting: true };
    let found = drain(Records::new(&b"\"a;b\";8,00\n"[..], semicolon).unwrap());
    assert_eq!(cells(&found[0]), ["a;b", "8,00"]);
}

#[test]
fn a_row_without_anything_in_it_is_blank() {
    let blank: Vec<bool> = all(b",,,\n\"\", \n,0\n \n").iter().map(Record::is_blank).collect();
    assert_eq!(blank, [true, true, false, true]);
}
