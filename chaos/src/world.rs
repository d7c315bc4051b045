//! A world: the real actors on the reference adapters, in one thread, with paused time and one seed.
//!
//! A run has two parts. First everything goes wrong that the plan says, until every caller and every line of the inbox
//! has an answer for good. Then the audit: nothing goes wrong any more, a fresh node on the same log is asked for
//! every command once more, is stopped cleanly, and the checkers compare what was told with what stands in the log.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_actors::{Intake, IntakeEvent, Node, NodeHandle, Ports, ProbePoint, Settings};
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::invariant::{InvariantId, OutcomeBook, Violation};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryInbox, MemoryLog, MemoryTenants};
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::{Body, LogIdentity};
use retailflow_engine::wire::{Durability, decode_command};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::callers::{Shared, call, is_final};
use crate::checker::{Rest, check};
use crate::faults::{Fault, FaultDeck};
use crate::faulty_log::FaultyLog;
use crate::faulty_stores::{FaultyDeadLetters, FaultySnapshots, FaultyTenants};
use crate::plan::Plan;
use crate::probe::CrashProbe;
use crate::rival::Rival;
use crate::script::Script;
use crate::time::{Dice, WorldClock};
use crate::trace::{Trace, trace_hash};
use crate::watch::Watch;

/// The time within which a world must come to rest: far beyond what any plan needs.
const WORLD_MAX: Duration = Duration::from_secs(3600);
/// Starts of a node, and tries of a command in the audit, at most.
const TRIES_MAX: u32 = 200;
/// The time within which node kills are planned.
const KILLS_WITHIN_MS: u64 = 2500;

/// What became of a world.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The seed it was run with.
    pub seed: u64,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// How often each probe was visited before the audit.
    pub visits: BTreeMap<ProbePoint, u64>,
    /// The faults that were drawn.
    pub faults: BTreeMap<Fault, u32>,
    /// Actors that failed in nodes that were not killed themselves.
    pub crashes: u64,
}

impl Report {
    /// The hash of the trace: the same for the same seed and plan.
    #[must_use]
    pub fn hash(&self) -> String {
        trace_hash(&self.trace)
    }

    /// What a failed test should say.
    #[must_use]
    pub fn explain(&self, last_lines: usize) -> String {
        let from = self.trace.len().saturating_sub(last_lines);
        let broken: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        format!(
            "seed {}:\n{}\n\nthe last of {} lines:\n{}\n\nagain: RETAILFLOW_SEED={} cargo test -p retailflow-chaos one_seed -- --nocapture\n",
            self.seed, broken.join("\n"), self.trace.len(), self.trace[from..].join("\n"), self.seed
        )
    }
}

/// Runs the world of `seed` and `plan`.
#[must_use]
pub fn run(seed: u64, plan: &Plan) -> Report {
    run_with(seed, plan, &|_| {})
}

/// The same with settings of the node changed, as by a mutant.
#[must_use]
pub fn run_with(seed: u64, plan: &Plan, change: &dyn Fn(&mut Settings)) -> Report {
    let failed = |text: String| Report {
        seed,
        violations: vec![Violation::new(InvariantId::Progress, text)],
        trace: Vec::new(),
        visits: BTreeMap::new(),
        faults: BTreeMap::new(),
        crashes: 0,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("no runtime: {error}")),
    };
    let script = match Script::new(seed, plan) {
        Ok(script) => script,
        Err(error) => return failed(format!("no script: {error}")),
    };
    let all = AssertUnwindSafe(|| runtime.block_on(async { World::new(seed, plan, script, change).run().await }));
    std::panic::catch_unwind(all).unwrap_or_else(|_| failed("the world panicked".into()))
}

struct World<'a> {
    seed: u64,
    plan: &'a Plan,
    script: Script,
    change: &'a dyn Fn(&mut Settings),
    shared: Arc<Shared>,
    log: Arc<MemoryLog>,
    ports: Ports,
    deck: Arc<FaultDeck>,
    watch: Arc<Watch>,
    rival: Arc<Rival>,
    probe: Arc<CrashProbe>,
    kill_node: Arc<Notify>,
    dice: Dice,
    nodes: u32,
    crashes: u64,
}

impl<'a> World<'a> {
    fn new(seed: u64, plan: &'a Plan, script: Script, change: &'a dyn Fn(&mut Settings)) -> Self {
        let clock = WorldClock::start();
        let trace = Arc::new(Trace::new(clock));
        let identity = LogIdentity {
            log_id: [7; 16],
            cluster: "world".into(),
            partitions: plan.config.log.partitions,
            shards: 1,
            created: TimestampMs(0),
        };
        let log = Arc::new(MemoryLog::new(identity));
        let deck = Arc::new(FaultDeck::new(plan.faults, Dice::new(seed, 3)));
        let stores = Arc::new(FaultDeck::new(plan.faults, Dice::new(seed, 4)));
        let watch = Arc::new(Watch::default());
        let rival = Arc::new(Rival::new(clock, plan.settings("rival").policy, script.by_order()));
        let kill_node = Arc::new(Notify::new());
        let probe = CrashProbe::new(plan.crashes, Dice::new(seed, 5), trace.clone(), kill_node.clone());
        let faulty = FaultyLog {
            inner: log.clone(),
            deck: deck.clone(),
            trace: trace.clone(),
            rival: rival.clone(),
            watch: watch.clone(),
        };
        let ports = Ports {
            log: Arc::new(faulty),
            snapshots: Arc::new(FaultySnapshots::new(stores.clone())),
            tenants: Arc::new(FaultyTenants { deck: stores.clone(), inner: MemoryTenants::default() }),
            dead_letters: Arc::new(FaultyDeadLetters { deck: stores, inner: MemoryDeadLetters::default() }),
            clock: Arc::new(clock),
            rng: Arc::new(Dice::new(seed, 6)),
            durability: Durability::MEMORY,
        };
        let shared = Arc::new(Shared {
            clock,
            trace,
            book: Mutex::new(OutcomeBook::default()),
            violations: Mutex::default(),
            node: Mutex::new(None),
        });
        let (probe, dice) = (Arc::new(probe), Dice::new(seed, 7));
        Self { seed, plan, script, change, shared, log, ports, deck, watch, rival, probe, kill_node, dice, nodes: 0, crashes: 0 }
    }

    async fn run(mut self) -> Report {
        let story = async {
            self.live().await;
            self.audit().await;
        };
        if tokio::time::timeout(WORLD_MAX, story).await.is_err() {
            self.shared.violated(Violation::new(InvariantId::Progress, "the world does not come to rest"));
        }
        let letters = self.ports.dead_letters.list(0, usize::MAX).await;
        let groups = self.log.groups();
        let violations = check(&Rest {
            groups: &groups,
            partitions: self.plan.config.log.partitions,
            book: &self.shared.book.lock(),
            script: &self.script,
            rivals: &self.rival.own(),
            dead_letters: letters.map_or(0, |letters| letters.len() as u64),
        });
        self.watch.violations().into_iter().chain(violations).for_each(|violation| self.shared.violated(violation));
        Report {
            seed: self.seed,
            violations: self.shared.violations.lock().clone(),
            trace: self.shared.trace.lines(),
            visits: self.probe.visits(),
            faults: self.deck.drawn(),
            crashes: self.crashes,
        }
    }

    /// Everything goes wrong that the plan says, until all have their answers.
    async fn live(&mut self) {
        let count = self.script.callers.len().max(1) as u64;
        let mut callers = JoinSet::new();
        for (index, caller) in (0..).zip(self.script.callers.clone()) {
            callers.spawn(call(self.shared.clone(), caller, index, count));
        }
        let kills = (0..self.plan.node_kills).map(|_| self.dice.below(KILLS_WITHIN_MS));
        let mut kills: Vec<Instant> = kills.map(|at_ms| Instant::now() + Duration::from_millis(at_ms)).collect();
        kills.sort();
        kills.reverse();
        let mut everyone = pin!(async { while callers.join_next().await.is_some() {} });
        let mut everyone_done = false;
        while let Some(node) = self.start().await {
            *self.shared.node.lock() = Some(node.clone());
            let killed = {
                let mut intake = pin!(self.intake(&node));
                let mut intake_done = false;
                loop {
                    if intake_done && everyone_done {
                        break false;
                    }
                    let next_kill = kills.last().copied();
                    tokio::select! {
                        biased;
                        () = self.kill_node.notified() => break true,
                        () = tokio::time::sleep_until(next_kill.unwrap_or_else(Instant::now)), if next_kill.is_some() => {
                            kills.pop();
                            break true;
                        }
                        () = &mut everyone, if !everyone_done => everyone_done = true,
                        () = &mut intake, if !intake_done => intake_done = true,
                    }
                }
            };
            *self.shared.node.lock() = None;
            self.crashes += node.crashes();
            self.shared.trace.note("the node is killed");
            node.kill().await;
            if !killed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1 + self.dice.below(50))).await;
        }
    }

    async fn start(&mut self) -> Option<NodeHandle> {
        for _ in 0..TRIES_MAX {
            self.nodes += 1;
            let mut settings = self.plan.settings(&format!("n{}", self.nodes));
            settings.probe = Some(self.probe.clone());
            (self.change)(&mut settings);
            match Node::start(settings, self.ports.clone()).await {
                Ok(node) => {
                    self.shared.trace.note(format!("node {} is up", self.nodes));
                    return Some(node);
                }
                Err(error) => self.shared.trace.note(format!("node {}: {error}", self.nodes)),
            }
        }
        self.shared.violated(Violation::new(InvariantId::Progress, "the node does not start"));
        None
    }

    /// Reads the inbox from its beginning into `node`.
    async fn intake(&self, node: &NodeHandle) {
        let mut inbox = MemoryInbox::new("commands.jsonl", self.script.bodies.clone());
        let (_stop, stopped) = watch::channel(false);
        let mut next = 1;
        let intake = Intake::new(node, &inbox, "commands.jsonl");
        let summary = intake.run(&mut inbox, stopped, |event| {
            if event.position != next {
                let text = format!("line {} came out where line {next} should", event.position);
                self.shared.violated(Violation::new(InvariantId::Ledger, text));
            }
            next = event.position + 1;
            self.line_done(&event);
        });
        let summary = summary.await;
        self.shared.trace.note(format!("inbox: {summary:?}"));
        let all = self.script.bodies.len() as u64;
        if !summary.is_ok_and(|summary| summary.finished && summary.received == all) || next != all + 1 {
            let text = format!("the inbox ended before line {next} of {all}");
            self.shared.violated(Violation::new(InvariantId::Ledger, text));
        }
    }

    fn line_done(&self, event: &IntakeEvent) {
        let body = usize::try_from(event.position - 1).ok().and_then(|at| self.script.bodies.get(at));
        let command = match body {
            Some(Body::Bytes(bytes)) => decode_command(bytes).ok(),
            _ => None,
        };
        match command {
            Some(command) => {
                self.shared.told(&format!("line {}", event.position), &command, &event.outcome);
                if !is_final(&event.outcome) {
                    let text = format!("line {} was given up: {:?}", event.position, event.outcome);
                    self.shared.violated(Violation::new(InvariantId::Progress, text));
                }
            }
            None => self.shared.trace.note(format!("line {}: {}", event.position, event.outcome.code)),
        }
    }

    /// Asks a fresh node for everything once more, with nothing going wrong.
    async fn audit(&mut self) {
        self.deck.calm();
        self.probe.calm();
        self.shared.trace.note("audit");
        let Some(node) = self.start().await else { return };
        for event in self.script.events.clone() {
            let command = Command::from_event(event.clone(), Actor::Tenant);
            let mut tries = 0;
            loop {
                let outcome = node.ask(command.clone()).await;
                self.shared.told("audit", &event, &outcome);
                tries += 1;
                if is_final(&outcome) || tries == TRIES_MAX {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if tries == TRIES_MAX {
                let text = format!("{} {} has no answer in the audit", event.order, event.key);
                self.shared.violated(Violation::new(InvariantId::Progress, text));
            }
        }
        self.intake(&node).await;
        let report = node.stop(Duration::from_secs(30)).await;
        if !report.drained || report.abandoned > 0 {
            self.shared.violated(Violation::new(InvariantId::Progress, format!("no clean stop: {report:?}")));
        }
    }
}
