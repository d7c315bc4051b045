//! A mail server for tests, as far as a sender needs it: it keeps mails by their Message-ID, and fails in all the ways between
//! "taken" and "I was told so".

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::poll::{wait_for, wait_up_to};

/// Nobody is silent for longer.
const BOUND: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) text: String,
    /// How often it came, each time with the same text.
    pub(crate) times: u32,
}

#[derive(Default)]
struct State {
    mails: Mutex<BTreeMap<String, Mail>>,
    /// Takes the next mail and does not say so, while this is set.
    holds: AtomicBool,
    held: AtomicBool,
    ends: AtomicBool,
}

/// Serves one connection after another until it is dropped.
pub(crate) struct Sink {
    pub(crate) address: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// One whose failures are drawn from `seed`.
    pub(crate) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let (shared, mut rng) = (Arc::clone(&state), fastrand::Rng::with_seed(seed));
        let thread = std::thread::spawn(move || {
            while !shared.ends.load(Ordering::Relaxed) {
                let accepted = wait_up_to(LOOK, || match listener.accept() {
                    Ok((connection, _)) => Some(connection),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                    Err(error) => panic!("{error}"),
                });
                // A sender that is killed, or that is cut off, is no failure of the test.
                drop(accepted.map(|connection| shared.serve(connection, &mut rng)));
            }
        });
        Self { address, state, thread: Some(thread) }
    }

    /// By Message-ID, what has come.
    pub(crate) fn mails(&self) -> BTreeMap<String, Mail> {
        self.state.mails.lock().clone()
    }

    /// Takes the next mail, calls `between` when it is kept and nobody was told, and never says so.
    pub(crate) fn takes_and_is_silent(&self, between: impl FnOnce()) {
        self.state.holds.store(true, Ordering::Relaxed);
        wait_for("a mail is taken", BOUND, || self.state.held.swap(false, Ordering::Relaxed).then_some(()));
        between();
        self.state.holds.store(false, Ordering::Relaxed);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
        self.state.holds.store(false, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl State {
    fn serve(&self, connection: TcpStream, rng: &mut fastrand::Rng) -> io::Result<()> {
        connection.set_nonblocking(false)?;
        connection.set_read_timeout(Some(BOUND))?;
        let mut says = connection.try_clone()?;
        let mut lines = BufReader::new(connection).lines();
        says.write_all(b"220 sink\r\n")?;
        while let Some(line) = lines.next() {
            let verb = line?.to_ascii_uppercase();
            let answer = match verb.get(..4).unwrap_or_default() {
                "DATA" => {
                    says.write_all(b"354 go on\r\n")?;
                    let text = lines.by_ref().take_while(|line| !matches!(line.as_deref(), Ok(".") | Err(_)));
                    let text: Vec<String> = text.collect::<Result<_, _>>()?;
                    match self.data(&text.join("\n"), rng) {
                        Some(answer) => answer,
                        None => return Ok(()),
                    }
                }
                "EHLO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 well",
                _ => "502 not here",
            };
            says.write_all(format!("{answer}\r\n").as_bytes())?;
        }
        Ok(())
    }

    /// The answer to a mail; none where the connection is lost after it was taken.
    fn data(&self, text: &str, rng: &mut fastrand::Rng) -> Option<&'static str> {
        let drawn = rng.u8(..10);
        if drawn == 0 && !self.holds.load(Ordering::Relaxed) {
            return Some("451 come again");
        }
        self.take(text);
        if self.holds.load(Ordering::Relaxed) {
            self.held.store(true, Ordering::Relaxed);
            wait_for("the test goes on", BOUND, || (!self.holds.load(Ordering::Relaxed)).then_some(()));
            return None;
        }
        (drawn != 1).then_some("250 taken")
    }

    fn take(&self, text: &str) {
        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: <")?.strip_suffix('>'));
        let id = id.unwrap_or_else(|| panic!("no id: {text}")).to_owned();
        let mut mails = self.mails.lock();
        let mail = mails.entry(id).or_insert_with(|| Mail { text: text.to_owned(), times: 0 });
        assert_eq!(mail.text, text, "another mail under the same id");
        mail.times += 1;
    }
}
