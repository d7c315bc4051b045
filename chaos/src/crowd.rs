//! A crowd: hundreds of orders of several tenants on several partitions, one of which is sick, and checkers that judge
//! time. What a small world with short deadlines heals, it hides; here a step's deadline is longer than the world.
//!
//! - [`crowd`]: a whole crowd from one seed, in virtual time; [`crowd_on_threads`]: the same on the real runtime
//! - `plan`: how many, and who is sick of what
//! - `sick`: the reference adapters with one part that hangs, is slow, or contradicts itself
//! - `cast`: the nodes, one or two
//! - `poison`: who crashes
//! - `callers`: who asks, again and again, until there is an answer for good
//! - `judge`: nobody stands still, nobody else is felt, everything is given back
//! - `promises`: what was acknowledged is there, nobody healthy is driven out, and a refusal costs little

mod callers;
mod cast;
mod judge;
mod plan;
mod poison;
mod promises;
mod sick;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_actors::{Intake, IntakeEvent, Ports, Settings};
use retailflow_engine::ids::{CommandKey, TenantId, TimestampMs};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryInbox, MemoryLog, MemorySnapshots, MemoryTenants};
use retailflow_engine::ports::{Body, EventLog as _, LogIdentity, TenantSetting};
use retailflow_engine::wire::Durability;
use retailflow_testkit::simulated::{MemoryJournal, SimOptions, SimParticipants, StockOptions};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::callers::{Asked, Asker, askers, poisoned, poisoned_order, published};
use self::cast::Cast;
pub use self::judge::{Felt, Finding};
use self::judge::{Judged, judge};
pub use self::plan::{CrowdPlan, Sickness};
use self::poison::Poison;
use self::sick::{SickDeadlines, SickLog, Spell, Timeline, sick_participants};
use crate::time::{Dice, WorldClock};

/// How long a published command waits for its order.
const PUBLISHED_PATIENCE: Duration = Duration::from_millis(300);
/// Time between two looks at whether all has come to rest.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What became of a crowd.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CrowdReport {
    /// The seed it was run with.
    pub seed: u64,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// Orders that came to their end.
    pub ended: u64,
    /// Calls of participants.
    pub calls: u64,
    /// Commands that were asked again because nobody answered in time.
    pub asked_again: u64,
    /// Longest wait for an answer of a command that the sickness does not concern, in milliseconds.
    pub slowest_ms: u64,
    /// Longest time that an order was driven by nobody, in milliseconds.
    pub undriven_ms: u64,
}

impl CrowdReport {
    /// What a failed test should say.
    #[must_use]
    pub fn explain(&self, plan: &CrowdPlan) -> String {
        let findings: Vec<String> = self
            .findings
            .iter()
            .take(12)
            .map(|finding| format!("{:?}: {}", finding.felt, finding.detail))
            .collect();
        format!(
            "seed {}, {:?}: {} findings\n{}\n\nagain: RETAILFLOW_SEED={} cargo test -p retailflow-chaos one_crowd -- --nocapture\n",
            self.seed,
            plan.sickness,
            self.findings.len(),
            findings.join("\n"),
            self.seed
        )
    }
}

/// Runs the crowd of `seed` and `plan` in virtual time.
#[must_use]
pub fn crowd(seed: u64, plan: &CrowdPlan, change: &dyn Fn(&mut Settings)) -> CrowdReport {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    on(runtime, seed, plan, change)
}

/// The same on a runtime of `threads` threads, in real time.
#[must_use]
pub fn crowd_on_threads(seed: u64, plan: &CrowdPlan, threads: usize) -> CrowdReport {
    on(Builder::new_multi_thread().worker_threads(threads).enable_time().build(), seed, plan, &|_| {})
}

fn on(
    runtime: std::io::Result<tokio::runtime::Runtime>,
    seed: u64,
    plan: &CrowdPlan,
    change: &dyn Fn(&mut Settings),
) -> CrowdReport {
    let failed = |detail: String| CrowdReport {
        seed,
        findings: vec![Finding { felt: Felt::Lost, detail }],
        ..CrowdReport::default()
    };
    let mut settings = Settings::new(plan.config.clone(), "crowd");
    change(&mut settings);
    match runtime {
        Ok(runtime) => match runtime.block_on(async { Crowd::new(seed, plan).run(settings).await }) {
            Ok(report) => report,
            Err(error) => failed(error),
        },
        Err(error) => failed(format!("no runtime: {error}")),
    }
}

struct Crowd<'a> {
    seed: u64,
    plan: &'a CrowdPlan,
    clock: WorldClock,
    log: Arc<MemoryLog>,
    ports: Ports,
    timeline: Arc<Timeline>,
    spell: Spell,
}

impl<'a> Crowd<'a> {
    /// To be made within the runtime: its clock begins here.
    fn new(seed: u64, plan: &'a CrowdPlan) -> Self {
        let clock = WorldClock::start();
        let log = Arc::new(MemoryLog::new(LogIdentity {
            log_id: [9; 16],
            cluster: "crowd".into(),
            partitions: plan.config.log.partitions,
            shards: 1,
            created: TimestampMs(0),
        }));
        let timeline = Arc::new(Timeline::default());
        let spell = Spell { clock, from_ms: plan.sick_from_ms, until_ms: plan.sick_until_ms() };
        let stock = StockOptions { other_units: Some(1_000_000), ..StockOptions::default() };
        let options = SimOptions { stock, hand_over_permille: 1_000, ..SimOptions::default() };
        let journal = Arc::new(MemoryJournal::of_totals());
        let sim = Arc::new(SimParticipants::new(&options, Arc::new(clock), journal));
        let sick_log = SickLog::new(log.clone(), plan.sickness, spell, timeline.clone(), Dice::new(seed, 11));
        let ports = Ports {
            log: Arc::new(sick_log),
            deadlines: Arc::new(SickDeadlines { inner: log.clone(), sickness: plan.sickness, spell }),
            participants: sick_participants(&sim, plan, spell, &timeline, seed),
            snapshots: Arc::new(MemorySnapshots::default()),
            tenants: Arc::new(MemoryTenants::default()),
            dead_letters: Arc::new(MemoryDeadLetters::default()),
            clock: Arc::new(clock),
            rng: Arc::new(Dice::new(seed, 12)),
            durability: Durability::MEMORY.into(),
        };
        Self { seed, plan, clock, log, ports, timeline, spell }
    }
}

impl Crowd<'_> {
    async fn run(self, mut settings: Settings) -> Result<CrowdReport, String> {
        let crashes_tenant = matches!(self.plan.sickness, Sickness::TenantCrashes(_));
        settings.probe = Some(Arc::new(Poison::new(self.spell, crashes_tenant)));
        let idle_tasks = Handle::current().metrics().num_alive_tasks();
        if let Sickness::Published(_) = self.plan.sickness {
            self.limit(callers::LOUD).await?;
        }
        let cast = Arc::new(Cast::start(self.plan, settings, &self.ports).await?);
        let mut attending = cast.attend(self.plan, self.clock);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut findings = Vec::new();
        self.live(&cast, &asked, &mut findings).await.map_err(|error| error.to_string())?;
        let rest = tokio::time::timeout(self.plan.rest_max(), self.rest(&cast)).await;
        let rest_ms = self.clock.elapsed_ms();
        let leaked = |detail: String| Finding { felt: Felt::Leaked, detail };
        if rest.is_err() {
            findings.push(leaked(format!(
                "after {rest_ms} ms there are {} effects, {} orders in memory, {} commands in flight",
                cast.effects_running(),
                cast.live_orders(),
                cast.in_flight()
            )));
        }
        let calls = cast.nodes.iter().map(|node| node.effect_counts().calls).sum();
        attending.shutdown().await;
        for node in &cast.nodes {
            if node.undriven_found() > 0 {
                // Found, and driven again: what it heals it must not hide.
                let detail =
                    format!("the node itself found {} orders that nobody drove", node.undriven_found());
                findings.push(Finding { felt: Felt::Undriven, detail });
            }
            let stop = node.clone().stop(Duration::from_secs(10)).await;
            if !stop.drained || stop.abandoned > 0 {
                findings.push(leaked(format!("no clean stop: {stop:?}")));
            }
        }
        findings.extend(self.tasks_end(idle_tasks).await.err().map(leaked));
        let asked = std::mem::take(&mut *asked.lock());
        let judged = Judged {
            plan: self.plan,
            groups: &self.log.groups(),
            queued: &self.queued().await?,
            asked: &asked,
            timeline: &self.timeline,
            rest_ms,
        };
        let mut verdict = judge(&judged);
        promises::judge(&judged, &mut verdict);
        findings.extend(verdict.findings);
        Ok(CrowdReport {
            seed: self.seed,
            findings,
            ended: verdict.ended,
            calls,
            asked_again: asked.iter().map(|asked: &Asked| asked.again).sum(),
            slowest_ms: verdict.slowest_ms,
            undriven_ms: verdict.undriven_ms,
        })
    }

    /// One command of this tenant may be under way at a time.
    async fn limit(&self, tenant: &str) -> Result<(), String> {
        let tenant = TenantId::parse(tenant).map_err(|error| error.to_string())?;
        let setting = TenantSetting { in_flight_max: Some(1), ..TenantSetting::new(tenant) };
        self.ports.tenants.put(setting).await.map_err(|error| error.to_string())
    }

    /// Everyone asks, and one publishes, until all have their answers.
    async fn live(
        &self,
        cast: &Arc<Cast>,
        asked: &Arc<Mutex<Vec<Asked>>>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), retailflow_engine::ids::IdError> {
        let mut everyone = JoinSet::new();
        let askers: Vec<Asker> =
            askers(self.seed, self.plan)?.into_iter().chain(poisoned(self.seed, self.plan)?).collect();
        for asker in askers {
            everyone.spawn(callers::ask(
                cast.clone(),
                self.clock,
                asker,
                self.plan.patience_ms,
                asked.clone(),
            ));
        }
        let events = published(self.plan)?;
        if let Sickness::Refusals(partition) | Sickness::Published(partition) = self.plan.sickness {
            let bodies = events.iter().map(|event| Body::Bytes(event.to_json())).collect();
            let mut inbox = MemoryInbox::new("published.jsonl", bodies);
            let (_stop, stopped) = watch::channel(false);
            let node = cast.first();
            let intake = Intake::of_partition(node, &inbox, "published.jsonl", partition, PUBLISHED_PATIENCE);
            tokio::time::sleep(Duration::from_millis(self.plan.sick_from_ms)).await;
            let first_ms = self.clock.elapsed_ms();
            let told = |told: IntakeEvent| {
                let at = usize::try_from(told.position).unwrap_or_default();
                if let Some(event) = events.get(at.wrapping_sub(1)) {
                    let times_ms = (first_ms, self.clock.elapsed_ms());
                    asked.lock().push(callers::asked_by_publishing(event, &told, times_ms));
                }
            };
            let read = intake.run(&mut inbox, stopped, told);
            if tokio::time::timeout(self.plan.rest_max(), read).await.is_err() {
                findings
                    .push(Finding { felt: Felt::Lost, detail: "the inbox is not read to its end".into() });
            }
        }
        let all = async { while everyone.join_next().await.is_some() {} };
        if tokio::time::timeout(self.plan.rest_max(), all).await.is_err() {
            findings.push(Finding { felt: Felt::Lost, detail: "callers wait for ever".into() });
        }
        Ok(())
    }

    /// The sickness is over, no order is in memory, and nothing runs but what asks those who contradict themselves.
    async fn rest(&self, cast: &Cast) {
        loop {
            let doubted = self.timeline.contradicted.lock().len();
            let is_over = self.clock.elapsed_ms() > self.plan.sick_until_ms();
            if is_over
                && cast.effects_running() <= doubted
                && cast.live_orders() == 0
                && cast.in_flight() == 0
            {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What the log has waiting behind the mark of the order that is parked.
    async fn queued(&self) -> Result<BTreeSet<CommandKey>, String> {
        let Some(order) = poisoned_order(self.plan).map_err(|error| error.to_string())? else {
            return Ok(BTreeSet::new());
        };
        let waiting =
            self.log.parked_commands(&order, 0, usize::MAX).await.map_err(|error| error.to_string())?;
        Ok(waiting.iter().filter_map(|bytes| promises::parked_key(bytes)).collect())
    }

    /// Every task ends with the node.
    async fn tasks_end(&self, idle_tasks: usize) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let left = Handle::current().metrics().num_alive_tasks();
            if left <= idle_tasks {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(format!("{left} tasks are left of a node that stopped, {idle_tasks} before it"));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
