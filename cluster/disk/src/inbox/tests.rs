use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use retailflow_engine::ports::{Body, Delivery, PortFuture};
use retailflow_testkit::command_inbox::{self, Inbox, InboxSubject, drain};

use super::lines::{Lines, PREFIX_BYTES, READ_BYTES};
use super::*;

const MIB: usize = 1024 * 1024;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn all(input: impl Read + Send + 'static, line_max_bytes: usize) -> Vec<Delivery> {
    let mut inbox: Inbox = Box::new(FileInbox::new("test", input, line_max_bytes));
    runtime().block_on(drain(&mut inbox, 3))
}

fn bytes(position: u64, text: &[u8]) -> Delivery {
    Delivery { position, body: Body::Bytes(text.to_vec()) }
}

struct Files(tempfile::TempDir);

impl InboxSubject for Files {
    fn open(&mut self, name: &str, bodies: &[Vec<u8>], body_max_bytes: usize) -> PortFuture<'_, Inbox> {
        let path = self.0.path().join(name);
        std::fs::write(&path, bodies.join(&b'\n')).unwrap();
        let inbox = FileInbox::new(name, File::open(&path).unwrap(), body_max_bytes);
        Box::pin(async move { Box::new(inbox) as Inbox })
    }
}

#[test]
fn it_keeps_the_contract() {
    let mut subject = Files(tempfile::tempdir().unwrap());
    runtime().block_on(command_inbox::suite(&mut subject));
}

#[test]
fn lines_are_told_apart_and_numbered() {
    let cases: [(&[u8], Vec<Delivery>); 8] = [
        (b"", vec![]),
        (b"\n\r\n \t\n", vec![]),
        (b"a", vec![bytes(1, b"a")]),
        (b"a\nb\n", vec![bytes(1, b"a"), bytes(2, b"b")]),
        (b"a\r\n\r\nb\r\r\n", vec![bytes(1, b"a"), bytes(3, b"b\r")]),
        (b"\n\n\xff\x00\xfe\nc", vec![bytes(3, b"\xff\x00\xfe"), bytes(4, b"c")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", vec![bytes(1, b"a"), bytes(2, b"\xef\xbb\xbfb")]),
        (b"\xef\xbb\xbf\nb", vec![bytes(2, b"b")]),
    ];
    for (text, expected) in cases {
        assert_eq!(all(text, 100), expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn the_limit_is_of_the_line_without_its_end() {
    for end in ["\n", "\r\n", ""] {
        let text = format!("{}{end}", "x".repeat(10));
        assert_eq!(all(io::Cursor::new(text), 10), [bytes(1, &[b'x'; 10])], "{end:?}");
        let text = format!("{}{end}", "x".repeat(11));
        let body = Body::TooLong { prefix: vec![b'x'; 10], length_bytes: 11 };
        assert_eq!(all(io::Cursor::new(text), 10), [Delivery { position: 1, body }], "{end:?}");
    }
    let marked = format!("\u{feff}{}\r\nb", "x".repeat(10));
    assert_eq!(all(io::Cursor::new(marked), 10), [bytes(1, &[b'x'; 10]), bytes(2, b"b")]);
}

#[test]
fn a_line_of_a_hundred_megabytes_is_cut_and_its_neighbours_live() {
    let long = io::repeat(b'x').take(100 * MIB as u64);
    let found = all(io::Cursor::new(b"a\n").chain(long).chain(&b"\nb\n"[..]), MIB);
    let body = Body::TooLong { prefix: vec![b'x'; PREFIX_BYTES], length_bytes: 100 * MIB as u64 };
    assert_eq!(found, [bytes(1, b"a"), Delivery { position: 2, body }, bytes(3, b"b")]);
}

/// Gives `x` for `length_bytes`, and fails once every 64 MiB.
struct Failing {
    given: u64,
    length_bytes: u64,
    failed_at: u64,
}

impl Read for Failing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.failed_at + 64 * MIB as u64 {
            self.failed_at = self.given;
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = to.len().min(usize::try_from(self.length_bytes - self.given).unwrap());
        to[..count].fill(b'x');
        self.given += count as u64;
        Ok(count)
    }
}

#[test]
fn an_endless_line_is_counted_and_not_kept() {
    let length_bytes = 1 << 30;
    let mut lines = Lines::new(Failing { given: 0, length_bytes, failed_at: 0 }, MIB);
    let mut failures = 0;
    let chunk = loop {
        match lines.next_chunk() {
            Ok(chunk) => break chunk.unwrap(),
            Err(_) => failures += 1,
        }
        let held = lines.held_bytes();
        assert!(held <= READ_BYTES + 2 * (MIB + 8), "{held} bytes are held after {failures} failures");
    };
    assert_eq!(failures, 16);
    let body = Body::TooLong { prefix: vec![b'x'; PREFIX_BYTES], length_bytes };
    assert_eq!(chunk, [Delivery { position: 1, body }]);
    assert_eq!(lines.next_chunk().unwrap(), None);
}

#[test]
fn a_failed_read_is_told_and_reading_goes_on() {
    struct Once(Option<io::Error>, io::Cursor<&'static [u8]>);
    impl Read for Once {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match self.0.take_if(|_| self.1.position() == 3) {
                Some(error) => Err(error),
                None => self.1.read(&mut to[..1]),
            }
        }
    }
    let input = Once(Some(io::Error::other("the disk is gone")), io::Cursor::new(b"a\nbc\nd"));
    let mut inbox = FileInbox::new("test", input, 100);
    runtime().block_on(async {
        assert_eq!(inbox.next(9).await.unwrap(), [bytes(1, b"a")]);
        let error = inbox.next(9).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read commands after position 1: the store is not available: the disk is gone"
        );
        assert_eq!(inbox.next(9).await.unwrap(), [bytes(2, b"bc")]);
        assert_eq!(inbox.next(9).await.unwrap(), [bytes(3, b"d")]);
        assert_eq!(inbox.next(9).await.unwrap(), []);
    });
}

/// A pipe that stays open: each line is delivered while the next one has not been written.
#[test]
fn what_comes_slowly_is_delivered_as_it_comes() {
    let (input, mut output) = io::pipe().unwrap();
    let mut inbox = FileInbox::new("stdin", input, 100);
    runtime().block_on(async {
        for number in 1..=50 {
            // Half a line first: nothing may be delivered of it.
            write!(output, "command ").unwrap();
            assert!(has_nothing_yet(&mut inbox).await, "half a line was delivered as number {number}");
            writeln!(output, "{number}").unwrap();
            let batch = tokio::time::timeout(Duration::from_secs(20), inbox.next(1000)).await;
            let batch = batch.expect("a line that is there is delivered").unwrap();
            assert_eq!(batch, [bytes(number, format!("command {number}").as_bytes())]);
        }
        drop(output);
        assert_eq!(inbox.next(1000).await.unwrap(), []);
    });
}

/// Is there nothing to deliver yet? The future is dropped, which must lose nothing.
async fn has_nothing_yet(inbox: &mut FileInbox) -> bool {
    tokio::time::timeout(Duration::from_millis(1), inbox.next(1000)).await.is_err()
}

#[test]
fn the_id_is_of_the_name_alone() {
    let id = |name: &str, text: &'static [u8]| FileInbox::new(name, text, 100).id();
    assert_eq!(id("a", b"x"), id("a", b"y"));
    assert_ne!(id("a", b"x"), id("b", b"x"));
    assert_eq!(id("stdin", b"")[..], sha256(b"stdin")[..16]);
}

#[test]
fn the_thread_ends_when_nobody_reads() {
    struct DropNotice(std_mpsc::Sender<()>);
    impl Read for DropNotice {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            to[..2].copy_from_slice(b"x\n");
            Ok(2)
        }
    }
    impl Drop for DropNotice {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, receiver) = std_mpsc::channel();
    drop(FileInbox::new("test", DropNotice(sender), 100));
    receiver.recv_timeout(Duration::from_secs(20)).expect("the reader is dropped");
}
