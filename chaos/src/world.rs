//! A world: the real actors on the reference adapters, in one thread, with paused time and one seed.
//!
//! A run has two parts. First everything goes wrong that the plan says, until every caller and every line of the inbox
//! has an answer for good. Then the audit: nothing goes wrong any more, a fresh node on the same log is asked for
//! every command once more, is stopped cleanly, and the checkers compare what was told with what stands in the log.

mod reading;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_actors::{Node, NodeHandle, Ports, Settings};
use retailflow_engine::ids::{TenantId, TimestampMs};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryLog, MemoryTenants};
use retailflow_engine::ports::{LogIdentity, TenantSetting, Tenants as _};
use retailflow_engine::wire::{CommandEvent, Durability};
use retailflow_invariants::{InvariantId, OutcomeBook, Violation};
use retailflow_testkit::simulated::{MemoryJournal, SimOptions, SimParticipants, StockOptions};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::callers::{Shared, call};
use crate::checker::{Rest, check};
use crate::competing_writer::CompetingWriter;
use crate::dry_runs::DryRuns;
use crate::faults::FaultDeck;
use crate::faulty_log::FaultyLog;
use crate::faulty_participants::{Reports, faulty_participants};
use crate::faulty_stores::{FaultyDeadLetters, FaultyDeadlines, FaultySnapshots, FaultyTenants};
use crate::operator::Operator;
use crate::plan::Plan;
use crate::probe::CrashProbe;
use crate::report::{Report, combined};
use crate::script::Script;
use crate::time::{Dice, WorldClock};
use crate::trace::Trace;
use crate::watch::Watch;

/// The time within which a world must come to rest: far beyond what any plan needs.
const WORLD_MAX: Duration = Duration::from_secs(3600);
/// Starts of a node, and tries of a command in the audit, at most.
const TRIES_MAX: u32 = 200;
/// The time within which node kills are planned.
const KILLS_WITHIN_MS: u64 = 2500;

/// Runs the world of `seed` and `plan`.
#[must_use]
pub fn run(seed: u64, plan: &Plan) -> Report {
    run_with(seed, plan, &|_| {})
}

/// The same with settings of the node changed, as by a mutant.
#[must_use]
pub fn run_with(seed: u64, plan: &Plan, change: &dyn Fn(&mut Settings)) -> Report {
    let failed = |text: String| Report::failed(seed, text);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("no runtime: {error}")),
    };
    let script = match Script::new(seed, plan) {
        Ok(script) => script,
        Err(error) => return failed(format!("no script: {error}")),
    };
    let all =
        AssertUnwindSafe(|| runtime.block_on(async { World::new(seed, plan, script, change).run().await }));
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
    competing_writer: Arc<CompetingWriter>,
    /// The participants' own books.
    journal: Arc<MemoryJournal>,
    steps: Arc<FaultDeck>,
    reports: Arc<Reports>,
    sim: Arc<SimParticipants>,
    /// Reports and operators' commands that are not answered for good.
    unanswered: Mutex<Vec<CommandEvent>>,
    operator: Operator,
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
        let competing_writer =
            Arc::new(CompetingWriter::new(clock, plan.settings("rival").policy, script.by_order()));
        let kill_node = Arc::new(Notify::new());
        let reports = Arc::new(Reports::default());
        let probe = CrashProbe::new(plan.crashes, Dice::new(seed, 5), trace.clone(), kill_node.clone());
        let faulty = FaultyLog {
            inner: log.clone(),
            deck: deck.clone(),
            trace: trace.clone(),
            competing_writer: competing_writer.clone(),
            watch: watch.clone(),
            there: Mutex::default(),
        };
        let journal = Arc::new(MemoryJournal::of_totals());
        let options = SimOptions {
            stock: StockOptions { other_units: Some(plan.stock_units), ..StockOptions::default() },
            authorization_ms: plan.authorization_ms,
            hand_over_permille: 400,
            ..SimOptions::default()
        };
        let sim = Arc::new(SimParticipants::new(&options, Arc::new(clock), journal.clone()));
        let steps = Arc::new(FaultDeck::new(plan.faults, Dice::new(seed, 8)));
        let participants = faulty_participants(&sim, &steps, &trace, &reports);
        let ports = Ports {
            log: Arc::new(faulty),
            deadlines: Arc::new(FaultyDeadlines { deck: stores.clone(), inner: log.clone() }),
            participants,
            snapshots: Arc::new(FaultySnapshots::new(stores.clone())),
            tenants: Arc::new(FaultyTenants { deck: stores.clone(), inner: tenants(plan) }),
            dead_letters: Arc::new(FaultyDeadLetters { deck: stores, inner: MemoryDeadLetters::default() }),
            clock: Arc::new(clock),
            rng: Arc::new(Dice::new(seed, 6)),
            durability: Durability::MEMORY.into(),
        };
        let shared = Arc::new(Shared {
            clock,
            trace,
            book: Mutex::new(OutcomeBook::default()),
            violations: Mutex::default(),
            node: Mutex::new(None),
            dry_runs: DryRuns::new(plan.dry_runs_permille, Dice::new(seed, 10)),
            replays: 0.into(),
        });
        let (probe, dice) = (Arc::new(probe), Dice::new(seed, 7));
        Self {
            seed,
            plan,
            script,
            change,
            shared,
            log,
            ports,
            deck,
            watch,
            competing_writer,
            journal,
            steps,
            reports,
            sim,
            unanswered: Mutex::default(),
            operator: Operator::new(Dice::new(seed, 9)),
            probe,
            kill_node,
            dice,
            nodes: 0,
            crashes: 0,
        }
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
            others_own: &self.competing_writer.own(),
            dead_letters: letters.map_or(0, |letters| letters.len() as u64),
            books: &self.journal.totals(),
        });
        self.watch
            .violations()
            .into_iter()
            .chain(violations)
            .for_each(|violation| self.shared.violated(violation));
        Report {
            seed: self.seed,
            violations: self.shared.violations.lock().clone(),
            trace: self.shared.trace.lines(),
            visits: self.probe.visits(),
            faults: self.deck.drawn().into_iter().chain(self.steps.drawn()).collect(),
            crashes: self.crashes,
            conflicts: self.watch.conflicts(),
            combined: combined(&groups),
            replays: self.shared.replays.load(Ordering::Relaxed),
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
        let mut kills: Vec<Instant> =
            kills.map(|at_ms| Instant::now() + Duration::from_millis(at_ms)).collect();
        kills.sort();
        kills.reverse();
        let mut everyone = pin!(async { while callers.join_next().await.is_some() {} });
        let mut everyone_done = false;
        while let Some(node) = self.start().await {
            *self.shared.node.lock() = Some(node.clone());
            let killed = {
                let mut intake = pin!(self.intake(&node));
                let mut reports = pin!(self.report(&node));
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
                        () = &mut reports => {}
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
}

/// The second tenant has a flow of its own.
fn tenants(plan: &Plan) -> MemoryTenants {
    let tenants = MemoryTenants::default();
    if let Ok(tenant) = TenantId::parse("t1") {
        // What is in memory is there at once.
        drop(tenants.put(TenantSetting { flow: plan.flow, ..TenantSetting::new(tenant) }));
    }
    tenants
}
