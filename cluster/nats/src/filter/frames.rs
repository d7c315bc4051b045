//! What a server says, message by message: what the client could not read is replaced or left out, all else goes on as it is.

use async_nats::StatusCode;
use bytes::{Buf, BytesMut};

/// Stands in the place of headers that no client reads; its value says why.
pub(crate) const UNREADABLE: &str = "Rf-Unreadable-Headers";

/// The longest line that a server sends: a list of servers, or a subject.
const LINE_MAX_BYTES: usize = 64 << 10;
/// Longer headers are not looked at: no stream takes them, and no caller needs them.
const HEADERS_MAX_BYTES: usize = 64 << 10;

/// The server says something that is not its protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server does not speak NATS's protocol: {0}")]
pub(super) struct NotNats(&'static str);

/// Takes apart what comes from a server.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes that are left out, and then bytes that go on as they are.
    skip: usize,
    pass: usize,
    /// Messages whose headers were replaced.
    pub(super) replaced: u64,
    /// Messages of which the subject cannot be read either: nobody could be answered.
    pub(super) dropped: u64,
}

impl Frames {
    /// Moves what has come whole from `input` to `output`; what is left of `input` waits for more.
    pub(super) fn take(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), NotNats> {
        loop {
            let skipped = self.skip.min(input.len());
            input.advance(skipped);
            self.skip -= skipped;
            let passed = self.pass.min(if self.skip == 0 { input.len() } else { 0 });
            output.extend_from_slice(&input[..passed]);
            input.advance(passed);
            self.pass -= passed;
            if self.skip > 0 || self.pass > 0 || input.is_empty() {
                return Ok(());
            }
            let Some(line) = input.windows(2).take(LINE_MAX_BYTES).position(|two| two == b"\r\n") else {
                return match input.len() > LINE_MAX_BYTES {
                    true => Err(NotNats("a line without an end")),
                    false => Ok(()),
                };
            };
            let whole = line + 2;
            let (headed, words) = match &input[..line] {
                [b'M', b'S', b'G', b' ', words @ ..] => (false, words),
                [b'H', b'M', b'S', b'G', b' ', words @ ..] => (true, words),
                _ => {
                    self.pass = whole;
                    continue;
                }
            };
            let (headers, total) = sizes(words, headed)?;
            if !is_readable_line(words) {
                self.dropped += 1;
                self.skip = whole + total + 2;
            } else if headers == 0 {
                self.pass = whole + total + 2;
            } else if headers > HEADERS_MAX_BYTES {
                self.replace(&input[..line], headers, total, "they are too long", output);
            } else if input.len() < whole + headers {
                return Ok(());
            } else if let Err(why) = readable_headers(&input[whole..whole + headers]) {
                self.replace(&input[..line], headers, total, why, output);
            } else {
                self.pass = whole + total + 2;
            }
        }
    }

    /// Writes the message's line anew, with headers that say what was there.
    fn replace(&mut self, line: &[u8], headers: usize, total: usize, why: &str, output: &mut BytesMut) {
        self.replaced += 1;
        let new = format!("NATS/1.0\r\n{UNREADABLE}: {why}\r\n\r\n");
        let payload = total - headers;
        let names = line.rsplitn(3, |byte| *byte == b' ').last().unwrap_or_default();
        output.extend_from_slice(names);
        output.extend_from_slice(format!(" {} {}\r\n{new}", new.len(), new.len() + payload).as_bytes());
        self.skip = line.len() + 2 + headers;
        self.pass = payload + 2;
    }
}

/// The bytes of a message's headers, and of headers and payload together, as its line ends with them.
fn sizes(words: &[u8], headed: bool) -> Result<(usize, usize), NotNats> {
    let mut numbers =
        words.rsplit(|byte| *byte == b' ').map(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let mut number = || numbers.next().flatten().ok_or(NotNats("a message without its size"));
    let total = number()?;
    let headers = if headed { number()? } else { 0 };
    match headers <= total {
        true => Ok((headers, total)),
        false => Err(NotNats("headers that are longer than their message")),
    }
}

/// Whether the client finds as many words in a message's line as the server wrote: a caller's subject may hold whatever white space the
/// server takes for a part of a name.
fn is_readable_line(words: &[u8]) -> bool {
    let wrote = words.split(|byte| *byte == b' ').count();
    std::str::from_utf8(words).is_ok_and(|words| words.split_whitespace().count() == wrote)
}

/// As the client reads them; why it would not.
fn readable_headers(bytes: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "they are not UTF-8")?;
    let mut lines = text.lines().peekable();
    let first = lines
        .next()
        .and_then(|line| line.strip_prefix("NATS/1.0"))
        .ok_or("they do not begin with NATS/1.0")?;
    let first = first.trim();
    let status = first.split_once(' ').map_or(first, |(status, _)| status.trim());
    if !status.is_empty() && status.parse::<StatusCode>().is_err() {
        return Err("their status is no number");
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, _) = line.split_once(':').ok_or("a line has no colon")?;
        // Stricter than the client: what it may take one day is no loss.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a name holds other than printable ASCII");
        }
        while lines.next_if(|line| line.starts_with(char::is_whitespace)).is_some() {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderName;
    use proptest::prelude::*;

    use super::*;

    /// All that comes through, whatever the pieces in which it came.
    fn filtered(pieces: &[&[u8]]) -> (Vec<u8>, Frames) {
        let (mut frames, mut input, mut output) = (Frames::default(), BytesMut::new(), BytesMut::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            frames.take(&mut input, &mut output).unwrap();
        }
        assert!(input.is_empty(), "{input:?}");
        (output.to_vec(), frames)
    }

    fn message(subject: &[u8], headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let sizes = format!(" 7 _INBOX.x {} {}\r\n", headers.len(), headers.len() + payload.len());
        [b"HMSG ", subject, sizes.as_bytes(), headers, payload, b"\r\n"].concat()
    }

    const GOOD: &[u8] = b"NATS/1.0\r\nce-id: 1\r\n folded\r\n\r\n";

    #[test]
    fn what_the_client_reads_goes_on_as_it_is() {
        let all = [
            b"INFO {\"a\":1}\r\nPING\r\n-ERR 'x'\r\nMSG a.b 1 5\r\nhello\r\nMSG a 1 r 0\r\n\r\n".to_vec(),
            message(b"rf.v1.ask.shop.o-1", GOOD, b"body\r\nHMSG x 1 2 3\r\n"),
            message(b"s", b"NATS/1.0 503\r\n\r\n", b""),
            message(b"s", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", b""),
        ]
        .concat();
        let (out, frames) = filtered(&[&all]);
        assert_eq!((out, frames.replaced, frames.dropped), (all.clone(), 0, 0));
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(filtered(&bytes).0, all, "in pieces of one byte");
    }

    #[test]
    fn headers_that_no_client_reads_are_replaced_and_what_follows_is_not_touched() {
        let bad: [&[u8]; 7] = [
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nn\xff: 1\r\n\r\n",
            b"NATS/1.0 abc\r\n\r\n",
            b"HTTP/1.1\r\na: b\r\n\r\n",
            b"NATS/1.0\r\nna me: 1\r\n\r\n",
            b"NATS/1.0\r\n: 1\r\n\r\n",
            &[b"NATS/1.0\r\na: ".as_slice(), &[b'x'; 70_000], b"\r\n\r\n"].concat(),
        ];
        for headers in bad {
            let all = [message(b"s", headers, b"pay\r\nload"), message(b"t", GOOD, b"next")].concat();
            let (out, frames) = filtered(&[&all]);
            assert_eq!((frames.replaced, frames.dropped), (1, 0));
            let text = String::from_utf8(out.clone()).unwrap();
            assert!(text.starts_with("HMSG s 7 _INBOX.x ") && text.contains(UNREADABLE), "{text}");
            assert!(text.contains("\r\n\r\npay\r\nload\r\nHMSG t 7 "), "{text}");
            // What was made of it is left alone by another filter, and is the same however it came.
            assert_eq!(filtered(&[&out]).1.replaced, 0);
            let bytes: Vec<&[u8]> = all.chunks(3).collect();
            assert_eq!(filtered(&bytes).0, out);
        }
    }

    /// The client splits a line at any white space, the server at blanks alone; and it wants UTF-8.
    #[test]
    fn a_message_whose_subject_the_client_cannot_read_is_left_out() {
        for subject in
            ["rf.v1.ask.shop.o\u{3000}1".as_bytes(), b"rf.v1.ask.shop.o\x0b1", b"rf.v1.ask.shop.\xff\xfe"]
        {
            let plain = [b"MSG ".as_slice(), subject, b" 7 5\r\nhello\r\n"].concat();
            let all = [plain, message(subject, GOOD, b"x"), b"PING\r\n".to_vec()].concat();
            let (out, frames) = filtered(&[&all]);
            assert_eq!((out.as_slice(), frames.replaced, frames.dropped), (b"PING\r\n".as_slice(), 0, 2));
        }
    }

    #[test]
    fn what_is_no_protocol_is_an_error_and_holds_no_memory() {
        let (mut frames, mut output) = (Frames::default(), BytesMut::new());
        for strange in
            [b"MSG a 1 x\r\n".to_vec(), b"HMSG a 1 9 5\r\n".to_vec(), vec![b'x'; LINE_MAX_BYTES + 2]]
        {
            assert!(frames.take(&mut BytesMut::from(&strange[..]), &mut output).is_err());
        }
    }

    proptest! {
        /// Whatever a caller wrote comes out as something that the client reads: the same rules, and never fewer.
        #[test]
        fn no_headers_come_through_that_the_client_would_not_read(
            headers in proptest::collection::vec(prop_oneof![
                Just(b"NATS/1.0".to_vec()), Just(b"\r\n".to_vec()), Just(b"a: b".to_vec()), Just(b" ".to_vec()),
                Just(b":".to_vec()), Just(b"503".to_vec()), proptest::collection::vec(any::<u8>(), 0..4),
            ], 0..12),
            payload in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let headers = headers.concat();
            let all = [message(b"s", &headers, &payload), b"PING\r\n".to_vec()].concat();
            let (out, frames) = filtered(&[&all]);
            prop_assert!(out.ends_with(b"\r\nPING\r\n"));
            if frames.replaced == 0 && !headers.is_empty() {
                let text = std::str::from_utf8(&headers).unwrap();
                let mut lines = text.lines().skip(1).filter(|line| !line.is_empty());
                prop_assert!(text.starts_with("NATS/1.0"));
                let name = |line: &str| line.split_once(':').is_some_and(|(name, _)| name.parse::<HeaderName>().is_ok());
                prop_assert!(lines.all(|line| name(line) || line.starts_with(char::is_whitespace)));
            }
        }
    }
}
