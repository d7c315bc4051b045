//! A server of the built program for one test, and the few HTTP requests that a test makes itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use super::cli::retailflow;
use super::poll::wait_for;

/// No server takes longer to listen, and no request to be answered, even on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// A server with a data directory of its own, ended with the test.
pub(crate) struct Serving {
    child: Child,
    /// Where tenants connect.
    pub(crate) public: String,
    /// Where operators connect.
    pub(crate) admin: String,
    folder: TempDir,
}

impl Serving {
    /// Starts one, with these words beside the usual ones.
    pub(crate) fn start(words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let call = retailflow(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let call =
            words.iter().fold(call.arg("--data").arg(folder.path().join("data")), |call, w| call.arg(w));
        let mut child = call.into_command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        let mut serving = Self { child, public: String::new(), admin: String::new(), folder };
        let line = lines.recv_timeout(BOUND).unwrap_or_else(|e| panic!("{e}: {}", serving.log()));
        let rest = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));
        let (public, admin) = rest.split_once(", for operators on http://").unwrap();
        (serving.public, serving.admin) = (public.to_owned(), admin.to_owned());
        wait_for("the server is ready", BOUND, || {
            (http(&serving.public, "GET", "/readyz", &[], "").0 == 200).then_some(())
        });
        serving
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A file beside its data.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Places an order; gives the status of the answer.
    pub(crate) fn place(&self, order: &str, sku: &str) -> u16 {
        let body = serde_json::json!({
            "customer": "CUSTOMER-7", "currency": "USD",
            "lines": [{"line_id": "1", "sku": sku, "quantity": 2, "amount_minor": 2354}],
        });
        let path = format!("/v1/tenants/shop/orders/{order}/commands");
        let id = format!("place-{order}");
        let headers = [("Content-Type", "application/json"), ("Ce-Type", "retailflow.order.place.v1")];
        let headers = [&headers[..], &[("Idempotency-Key", id.as_str())]].concat();
        http(&self.public, "POST", &path, &headers, &body.to_string()).0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request on a connection of its own: the status and the whole answer.
pub(crate) fn http(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("not HTTP: {answer}")), answer)
}

/// Runs a program that a test needs besides Rust, for so long at most; gives what it wrote to standard output and error.
pub(crate) fn tool(mut command: Command, bound: Duration) -> (ExitStatus, String, String) {
    let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let read_to_end = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(pipe.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read_to_end(Box::new(child.stdout.take().unwrap()));
    let err = read_to_end(Box::new(child.stderr.take().unwrap()));
    let begun = std::time::Instant::now();
    let status = wait_for("the tool ends", bound + BOUND, || {
        if begun.elapsed() > bound {
            drop(child.kill());
        }
        child.try_wait().unwrap()
    });
    (status, out.join().unwrap(), err.join().unwrap())
}

/// Whether `RETAILFLOW_SKIP` names this; then, and when `found` is nothing, says so where it is seen.
pub(crate) fn or_skipped<T>(
    test: &str,
    name: &str,
    how: &str,
    found: impl FnOnce() -> Option<T>,
) -> Option<T> {
    let skip = std::env::var("RETAILFLOW_SKIP").unwrap_or_default();
    let why = match skip.split(',').any(|skipped| skipped.trim() == name) {
        true => format!("RETAILFLOW_SKIP names {name}; {how}"),
        false => match found() {
            Some(found) => return Some(found),
            None => format!("there is no {name} here; {how}"),
        },
    };
    super::skipped::skipped(test, name, &why);
    None
}
