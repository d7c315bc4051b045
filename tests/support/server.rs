//! A real server on free ports, and a small HTTP/1.1 client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::cli::exit_code;
use super::world::World;

/// No answer takes longer, even on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A server on the data directory of a world. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    /// Where tenants' systems connect.
    pub(crate) public: String,
    /// Where operators connect.
    pub(crate) admin: String,
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) fn start(world: &World, options: &[&str]) -> Self {
        let words = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let call = options.iter().fold(world.on_data(&words), |call, option| call.arg(option));
        let (mut child, _) = call.spawn();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            // What a killed process has written until then is enough.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = |rest: &str| rest.split([',', ' ', '\n']).next().unwrap().to_owned();
        let addresses: Vec<String> = line.split("http://").skip(1).map(address).collect();
        let [public, admin] = &addresses[..] else { panic!("it does not listen: {line:?}") };
        Self { public: public.clone(), admin: admin.clone(), child, stderr: Some(stderr) }
    }

    /// Ends it as a crash of the process would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end; gives its exit code and what it wrote to standard error.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = exit_code(&mut self.child);
        (code, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that is kept.
pub(crate) struct Http(BufReader<TcpStream>);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named =
            |line: &&str| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| Some(line.split_once(':')?.1.trim()))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Http {
    /// Connects; `None` when nobody listens any more.
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self(BufReader::new(stream)))
    }

    /// Sends a request and waits for its answer; `None` when the connection broke before it was whole.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: String::new() };
        let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).ok()?;
        answer.body = String::from_utf8(bytes).unwrap();
        Some(answer)
    }

    /// Sends a command of `/http`.
    pub(crate) fn command(&mut self, order: &str, kind: &str, id: &str, data: &str) -> Option<Answer> {
        let headers = format!(
            "Content-Type: application/json\r\nCe-Type: retailflow.order.{kind}.v1\r\nIdempotency-Key: {id}\r\n"
        );
        self.ask("POST", &format!("/v1/tenants/t/orders/{order}/commands"), &headers, data)
    }
}

/// The data of an order of one line.
pub(crate) fn order_data(amount_minor: u64) -> String {
    format!(
        r#"{{"customer":"c","currency":"EUR","lines":[{{"line_id":"1","sku":"a","quantity":2,"amount_minor":{amount_minor}}}]}}"#
    )
}
