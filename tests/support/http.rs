//! HTTP/1.1 as far as a test needs it: requests over one connection that is kept.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// No answer takes longer, even on a busy machine.
const BOUND: Duration = Duration::from_secs(60);
const BODY_MAX: usize = 16 << 20;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A client with one connection at a time.
pub(crate) struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// For an address such as `127.0.0.1:8080`.
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.call("GET", path, &[], "")
    }

    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        self.call("POST", path, headers, body)
    }

    /// One request of which the server has the head and half of the body when `between` is called.
    pub(crate) fn post_in_halves(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        between: impl FnOnce(),
    ) -> io::Result<Answer> {
        let (first, second) = body.split_at(body.len() / 2);
        let head = self.head("POST", path, headers, body);
        let mut stream = self.connection()?;
        stream.get_mut().write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes())?;
        // Whoever says that has read the head: the request is under way.
        assert_eq!(line(&mut stream)?, "HTTP/1.1 100 Continue");
        assert_eq!(line(&mut stream)?, "");
        stream.get_mut().write_all(first.as_bytes())?;
        between();
        stream.get_mut().write_all(second.as_bytes())?;
        answer(&mut stream)
    }

    /// One request and its whole answer. After an error the next request opens a new connection.
    fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let text = format!("{}\r\n{body}", self.head(method, path, headers, body));
        let mut stream = self.connection()?;
        stream.get_mut().write_all(text.as_bytes())?;
        let answer = answer(&mut stream)?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// The head of a request, without the line that ends it.
    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + &format!("Content-Length: {}\r\n", body.len())
    }

    fn connection(&mut self) -> io::Result<BufReader<TcpStream>> {
        if let Some(stream) = self.stream.take() {
            return Ok(stream);
        }
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(BOUND))?;
        stream.set_write_timeout(Some(BOUND))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(whole) => Ok(whole.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn answer(stream: &mut impl BufRead) -> io::Result<Answer> {
    let first = line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {first:?}"));
    let mut headers = Vec::new();
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').expect("a header");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").expect("answers tell their length").parse().unwrap();
    assert!(length <= BODY_MAX, "{length} bytes");
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    answer.body = String::from_utf8(body).unwrap();
    Ok(answer)
}
