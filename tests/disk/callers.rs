//! LoadClients that write down each outcome they are given, and tell when one is gone or another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::http::{Answer, Client};
use crate::support::poll::wait_up_to;
use crate::support::world::first_time;

/// LoadClients at once, each with one connection.
const CALLERS: usize = 8;
/// How long a command is tried for that gets no outcome: a full or hanging disk is well again before.
const BOUND: Duration = Duration::from_secs(20);

const PLACE: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;

/// What happens during a phase, seen by all.
#[derive(Default)]
pub(super) struct Progress {
    given: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// What is done the moment an answer has come, given how many there are.
pub(super) type OnAnswer<'a> = &'a (dyn Fn(u64) + Sync);

impl Progress {
    /// Outcomes given.
    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Answers that are no outcomes.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Command {
    order: String,
    kind: &'static str,
    id: String,
    body: &'static str,
    /// The status and the outcome that were given first.
    told: Option<(u16, Value)>,
}

#[derive(Clone)]
struct LoadClient {
    name: usize,
    rng: fastrand::Rng,
    orders: usize,
    commands: Vec<Command>,
    compared: u64,
    /// The last command that got no outcome, and why.
    unanswered: Option<String>,
    losses: Vec<String>,
}

impl LoadClient {
    /// Sends one command until it has an outcome; false when the connection is lost, or it is time to stop.
    fn send(&mut self, client: &mut Client, at: usize, progress: &Progress, on_answer: OnAnswer<'_>) -> bool {
        let command = &self.commands[at];
        let path = format!("/v1/tenants/t/orders/{}/commands", command.order);
        let kind = format!("retailflow.order.{}.v1", command.kind);
        let headers =
            [("Content-Type", "application/json"), ("Ce-Type", &*kind), ("Idempotency-Key", &*command.id)];
        let mut why = String::new();
        let answer = wait_up_to(BOUND, || match client.post(&path, &headers, command.body) {
            Err(error) => {
                why = error.to_string();
                Some(None)
            }
            // Recorded, and final.
            Ok(answer) if matches!(answer.status, 200 | 202 | 422) => Some(Some(answer)),
            // No id is used twice here: whose content it is said to be was never sent.
            Ok(answer) if answer.json()["code"] == "id_reused" => Some(Some(answer)),
            Ok(answer) => {
                why = format!("{} {}", answer.status, answer.body);
                progress.refused.fetch_add(1, Ordering::Relaxed);
                progress.stop.load(Ordering::Relaxed).then_some(None)
            }
        });
        let Some(Some(answer)) = answer else {
            self.unanswered = Some(format!("{} of order {}: {why}", command.id, command.order));
            return false;
        };
        on_answer(progress.given.fetch_add(1, Ordering::Relaxed) + 1);
        self.take_down(at, &answer);
        !progress.stop.load(Ordering::Relaxed)
    }

    fn take_down(&mut self, at: usize, answer: &Answer) {
        let command = &mut self.commands[at];
        let outcome = (answer.status, first_time(&answer.json()));
        let Some(told) = &command.told else {
            if answer.status == 409 {
                self.losses.push(format!("{}: another content under its id: {outcome:?}", command.id));
            }
            command.told = Some(outcome);
            return;
        };
        self.compared += 1;
        let replayed = answer.header("idempotent-replayed") == Some("true");
        if *told != outcome || !replayed {
            let what = if replayed { "changed" } else { "decided anew" };
            let (id, order) = (&command.id, &command.order);
            self.losses.push(format!("{id} of order {order}: {what}: first {told:?}, now {outcome:?}"));
        }
    }

    fn add(&mut self, order: &str, kind: &'static str, body: &'static str) -> usize {
        let id = format!("{}-{}", self.name, self.commands.len());
        self.commands.push(Command { order: order.into(), kind, id, body, told: None });
        self.commands.len() - 1
    }

    /// New orders, some of them canceled, some twice: the second cancel is rejected, or finds nothing to do.
    fn work(&mut self, client: &mut Client, progress: &Progress, on_answer: OnAnswer<'_>) {
        loop {
            self.orders += 1;
            let order = format!("k{}-{}", self.name, self.orders);
            let mut commands = vec![self.add(&order, "place", PLACE)];
            for _ in 0..self.rng.u8(..3) {
                commands.push(self.add(&order, "cancel", CANCEL));
            }
            for at in commands {
                if !self.send(client, at, progress, on_answer) {
                    return;
                }
            }
        }
    }
}

/// All callers. A clone remembers the same, to ask another copy of the same data.
#[derive(Clone)]
pub(super) struct LoadClients(Vec<LoadClient>);

impl LoadClients {
    pub(super) fn new(seed: u64) -> Self {
        let caller = |name| LoadClient {
            name,
            rng: fastrand::Rng::with_seed(seed ^ name as u64),
            orders: 0,
            commands: Vec::new(),
            compared: 0,
            unanswered: None,
            losses: Vec::new(),
        };
        Self((0..CALLERS).map(caller).collect())
    }

    /// New commands until `end` returns or every connection is lost; then what is under way is waited for.
    pub(super) fn work(&mut self, address: &str, on_answer: OnAnswer<'_>, end: impl FnOnce(&Progress)) {
        let progress = Progress::default();
        thread::scope(|scope| {
            for caller in &mut self.0 {
                let progress = &progress;
                scope.spawn(move || caller.work(&mut Client::new(address), progress, on_answer));
            }
            end(&progress);
            progress.stop.store(true, Ordering::Relaxed);
        });
    }

    /// Sends again what was sent, so many in a hundred of it, and compares. What has no outcome yet is always
    /// sent, and gets one.
    ///
    /// # Errors
    /// The first command that was not answered, and why.
    pub(super) fn repeat(&mut self, address: &str, percent: u32) -> Result<(), String> {
        let progress = Progress::default();
        self.0.iter_mut().for_each(|caller| caller.unanswered = None);
        let one = |caller: &mut LoadClient| {
            let mut client = Client::new(address);
            (0..caller.commands.len()).all(|at| {
                // In their order: what cancels an order finds it only once it is placed.
                let known = caller.commands[at].told.is_some();
                (known && caller.rng.u32(..100) >= percent)
                    || caller.send(&mut client, at, &progress, &|_| {})
            })
        };
        let one = &one;
        thread::scope(|scope| {
            for caller in &mut self.0 {
                scope.spawn(move || one(caller));
            }
        });
        self.0.iter_mut().find_map(|caller| caller.unanswered.take()).map_or(Ok(()), Err)
    }

    /// Outcomes that callers have been given.
    pub(super) fn outcomes(&self) -> usize {
        self.0
            .iter()
            .map(|caller| caller.commands.iter().filter(|command| command.told.is_some()).count())
            .sum()
    }

    /// How often one was given again.
    pub(super) fn compared(&self) -> u64 {
        self.0.iter().map(|caller| caller.compared).sum()
    }

    /// Outcomes that were lost or changed.
    pub(super) fn losses(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|caller| &caller.losses).map(String::as_str)
    }
}
