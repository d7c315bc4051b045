//! A client of a running server: what is asked, how often it is asked again, and how much is taken in.
//!
//! Plain HTTP, for the server speaks nothing else. No proxy of the environment is used and no redirection followed: a
//! command goes where its sender said, or nowhere.

pub(crate) mod contexts;
mod download;
pub(crate) mod remote_log;
pub(crate) mod stream;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Response;

use retailflow_server::exit::{ExitStatus, Failure, OrExit};

/// Tries of one request.
const TRIES_MAX: u32 = 8;
/// Greatest wait before the second try. It doubles; what is waited is drawn from its upper half.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// What it doubles up to. A server may ask for longer; how long it is tried in all is for the caller to say.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Says who acts, at the operators' door.
const OPERATOR: &str = "Rf-Operator";
/// A connection that is not there by then is not coming.
const CONNECT: Duration = Duration::from_secs(5);
/// One try; the server gives up sooner.
const ONE_TRY: Duration = Duration::from_secs(30);
/// Largest answer that is taken in: a page of a thousand entries with room to spare.
const BODY_MAX_BYTES: u64 = 64 << 20;

/// A server to talk to.
pub(crate) struct Client {
    agent: Agent,
    server: String,
    /// How long one request may be tried.
    time: Duration,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The body as it came.
    pub(crate) body: String,
    retry_after: Option<Duration>,
}

/// What a refusal says for programs and for people.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    code: String,
    message: String,
    path: Option<String>,
}

impl Answer {
    fn problem(&self) -> Problem {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The code of a refusal, for programs; empty when it is not from a RetailFlow server.
    pub(crate) fn code(&self) -> String {
        self.problem().code
    }

    /// Why it is not what was asked for, in the server's words.
    pub(crate) fn why(&self) -> String {
        let Problem { code, message, path } = self.problem();
        if code.is_empty() {
            return format!("HTTP status {}, not from a RetailFlow server", self.status);
        }
        let at = path.map(|path| format!(" (at {path})")).unwrap_or_default();
        format!("{code}: {message}{at}")
    }

    /// The body as one of our shapes.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.body).or_exit(
            ExitStatus::Unreachable,
            || "the server answers in a form that this program does not know: is it of another version?",
        )
    }

    /// The failure that a refusal is.
    pub(crate) fn refusal(&self) -> Failure {
        match self.status {
            // What was sent may have been done: nobody knows yet.
            504 => Failure::unreachable(self.why()),
            404 => Failure::finding(self.why()),
            _ => Failure::refused(self.why()),
        }
    }

    /// Whether it was not done for now: 504 may be, or not.
    const fn is_retryable(&self) -> bool {
        matches!(self.status, 429 | 503)
    }
}

type Tried = Result<Answer, ureq::Error>;

/// Whether what has one result however often it is sent is sent again.
fn is_retried_when_idempotent(tried: &Tried) -> bool {
    tried.as_ref().map_or(true, |answer| answer.is_retryable() || answer.status == 504)
}

/// Whether what may be done once only is sent again: where it surely was not done.
fn is_retried_when_not_idempotent(tried: &Tried) -> bool {
    match tried {
        Ok(answer) => answer.is_retryable(),
        Err(ureq::Error::Io(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Err(_) => false,
    }
}

impl Client {
    /// A client of the server at `server`, an address such as `http://127.0.0.1:8080`.
    pub(crate) fn new(server: &str, time: Duration) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/');
        let named = server.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.contains('/'));
        if named.is_none() {
            return Err(Failure::usage(format!(
                "{server:?} is no server's address: give one such as http://127.0.0.1:8080 (https is not spoken)"
            )));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("retailflow/", env!("CARGO_PKG_VERSION")));
        Ok(Self { agent: config.build().new_agent(), server: server.to_owned(), time })
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.retry_loop(is_retried_when_idempotent, |time| {
            let request = self.agent.get(self.url(path)).config().timeout_global(Some(time)).build();
            taken(request.call())
        })
    }

    /// Sends a command, in an envelope of structured JSON; an operator's with their name.
    pub(crate) fn post(&self, path: &str, body: &str, operator: Option<&str>) -> Result<Answer, Failure> {
        self.retry_loop(is_retried_when_idempotent, |time| {
            let request = self.agent.post(self.url(path)).config().timeout_global(Some(time)).build();
            let request = request.header("Content-Type", "application/cloudevents+json");
            let request = match operator {
                Some(name) => request.header(OPERATOR, name),
                None => request,
            };
            taken(request.send(body))
        })
    }

    /// Has something done that is no command and has no id: it is sent again only where it surely was not done.
    pub(crate) fn act(&self, path: &str, operator: &str) -> Result<Answer, Failure> {
        self.retry_loop(is_retried_when_not_idempotent, |time| {
            let request = self.agent.post(self.url(path)).config().timeout_global(Some(time)).build();
            taken(request.header(OPERATOR, operator).send_empty())
        })
    }

    /// Changes something, the same however often it is sent.
    pub(crate) fn patch(&self, path: &str, body: &str, operator: &str) -> Result<Answer, Failure> {
        self.retry_loop(is_retried_when_idempotent, |time| {
            let request = self.agent.patch(self.url(path)).config().timeout_global(Some(time)).build();
            taken(request.header("Content-Type", "application/json").header(OPERATOR, operator).send(body))
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// Tries while `again` says so, there is time, and not too often.
    fn retry_loop(
        &self,
        again: fn(&Tried) -> bool,
        mut once: impl FnMut(Duration) -> Tried,
    ) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let mut greatest = WAIT_MIN;
        for tries in 1.. {
            let left = self.time.saturating_sub(begun.elapsed());
            let tried = once(left.clamp(Duration::from_millis(1), ONE_TRY));
            let may = again(&tried);
            let (why, asked) = match tried {
                Ok(answer) if !may => return Ok(answer),
                Ok(answer) => (Ok(answer.why()), answer.retry_after.unwrap_or_default()),
                Err(error) => (Err(error), Duration::ZERO),
            };
            // Not all at the same moment: those who were refused together would be again.
            let wait = asked.max(greatest / 2) + greatest.mul_f64(fastrand::f64() / 2.0);
            if !may || tries == TRIES_MAX || begun.elapsed() + wait >= self.time {
                return Err(self.given_up(tries, why));
            }
            let told = match &why {
                Ok(said) => said.clone(),
                Err(error) => error.to_string(),
            };
            say(format!("{}: {told}; trying again in {:.1} s", self.server, wait.as_secs_f64()));
            thread::sleep(wait);
            greatest = (greatest * 2).min(WAIT_MAX);
        }
        unreachable!("the loop ends by a return")
    }

    fn given_up(&self, tries: u32, why: Result<String, ureq::Error>) -> Failure {
        let times = format!("tried {}", retailflow_server::words::count(tries.into(), "time"));
        match why {
            Ok(said) if said.starts_with("outcome_unknown") => {
                Failure::unreachable(format!("{said} ({times})"))
            }
            Ok(said) => Failure::refused(format!("{said} ({times})")),
            Err(error) => Failure::unreachable(format!(
                "{} does not answer ({times}): {error}; is `retailflow serve` running there?",
                self.server
            )),
        }
    }
}

/// Tells people what goes on. Nobody may be listening.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Takes an answer in, whole.
fn taken(response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, ureq::Error> {
    let mut response = response?;
    let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.body_mut().with_config().limit(BODY_MAX_BYTES).read_to_string()?;
    let retry_after = seconds.map(Duration::from_secs);
    Ok(Answer { status: response.status().as_u16(), body, retry_after })
}
