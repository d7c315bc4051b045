//! What a world is made of: one seed and a plan give one history.

use retailflow_actors::Settings;
use retailflow_config::Config;
use retailflow_engine::wire::flow_rules::{BeginsWith, CaptureAt, FlowRules, ShortLines};

use crate::time::Dice;

/// How often what goes wrong, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// An append is done, and its answer lost: `Unknown`, or no answer at all.
    pub lost_answer_permille: u32,
    /// An append is answered `Unknown` and done later, or never.
    pub unknown_permille: u32,
    /// An append is refused for want of room.
    pub unavailable_permille: u32,
    /// Another owner takes the partition over just before an append, and may decide for one of its orders.
    pub rival_permille: u32,
    /// A read of the log fails.
    pub read_permille: u32,
    /// A small store loses, is late, or fails after or before it has done its work.
    pub store_permille: u32,
    /// A participant fails, is late, doubles a request, or loses an answer.
    pub step_permille: u32,
    /// Greatest delay on each way to and from the log, in milliseconds.
    pub latency_max_ms: u64,
    /// After so many faults there are no more, so that every world comes to an end.
    pub count_max: u32,
}

/// Who is crashed through the probes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Crashes {
    /// Nobody.
    #[default]
    None,
    /// An actor at one visit in a thousand times `permille`; one order at most three times, `count_max` in all.
    Random {
        /// How often, in thousandths of the visits.
        permille: u32,
        /// How many at most.
        count_max: u32,
    },
    /// The actor that makes the n-th visit of all, counted from 1.
    ActorAt(u64),
    /// The whole node at that visit.
    NodeAt(u64),
}

/// Everything about a world but its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Orders, the hot one and the poisoned one aside.
    pub orders: u32,
    /// Distinct commands for these.
    pub commands: u32,
    /// Distinct commands for one order: more than it keeps ids in memory.
    pub hot_commands: u32,
    /// One more order crashes its actor at every command.
    pub poison: bool,
    /// Of a thousand commands, how many change an order rather than place it.
    pub changes_permille: u32,
    /// The flow of the second tenant's orders.
    pub flow: FlowRules,
    /// Lines of the inbox that are no commands.
    pub malformed: u32,
    /// How often somebody looks first what a command would come to, in thousandths of the tries.
    pub dry_runs_permille: u32,
    /// How often the node is killed at some time of its own.
    pub node_kills: u32,
    /// What goes wrong below the ports.
    pub faults: Faults,
    /// What goes wrong in the actors.
    pub crashes: Crashes,
    /// Units of each SKU that there are.
    pub stock_units: u64,
    /// How long an authorization stands, in milliseconds.
    pub authorization_ms: Option<u64>,
    /// The numbers the node runs with: small, so that every limit is met.
    pub config: Config,
}

impl Plan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            orders: 4,
            commands: 16,
            hot_commands: 10,
            poison: false,
            changes_permille: 0,
            flow: FlowRules::DEFAULT,
            malformed: 2,
            dry_runs_permille: 0,
            node_kills: 0,
            faults: Faults { latency_max_ms: 20, ..Faults::default() },
            crashes: Crashes::None,
            stock_units: 1_000,
            authorization_ms: None,
            config: small(),
        }
    }

    /// The plan that `seed` stands for: every kind of fault in some worlds, all of them in others.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let dice = Dice::new(seed, 1);
        let some = |max: u64| if dice.chance(600) { u32::try_from(dice.below(max)).unwrap_or(0) } else { 0 };
        let crashes = match dice.below(4) {
            0 => Crashes::None,
            _ => Crashes::Random { permille: 1 + some(80), count_max: 12 },
        };
        let mut config = small();
        config.log.partitions = 1 + u16::try_from(dice.below(3)).unwrap_or(0);
        config.orders.live_max = 1 + usize::try_from(dice.below(4)).unwrap_or(0);
        Self {
            orders: 2 + some(4),
            commands: 10 + some(16),
            hot_commands: 6 + some(10),
            poison: dice.chance(300),
            malformed: some(4),
            node_kills: some(4),
            faults: Faults {
                lost_answer_permille: some(150),
                unknown_permille: some(150),
                unavailable_permille: some(100),
                rival_permille: some(80),
                read_permille: some(100),
                store_permille: some(300),
                step_permille: some(400),
                latency_max_ms: dice.below(40),
                count_max: 40,
            },
            crashes,
            stock_units: if dice.chance(300) { 4 } else { 1_000 },
            authorization_ms: dice.chance(300).then(|| 5_100 + dice.below(2_000)),
            // Drawn last: the worlds without any are what they were.
            dry_runs_permille: if dice.chance(300) { 250 } else { 0 },
            changes_permille: if dice.chance(500) { 350 } else { 0 },
            flow: flow(&dice),
            config,
        }
    }

    /// A small world for sweeps over all crash points.
    #[must_use]
    pub fn sweep(crashes: Crashes) -> Self {
        Self { orders: 2, commands: 5, hot_commands: 5, malformed: 1, crashes, ..Self::quiet() }
    }

    pub(crate) fn settings(&self, node: &str) -> Settings {
        let mut settings = Settings::new(self.config.clone(), node);
        // A held order is looked at again within the world's patience.
        settings.policy.reminder_ms = 5_000;
        settings
    }
}

/// Limits that a handful of commands reaches.
fn small() -> Config {
    let mut config = Config::default();
    config.log.partitions = 2;
    config.log.group_max_records = 3;
    config.orders.live_max = 2;
    config.orders.idle_ms = 300;
    config.orders.record_max_commands = 4;
    config.orders.queue_max = 16;
    config.orders.recent_ids_max = 3;
    config.orders.snapshot_every = 4;
    config.orders.hydrate_concurrency_max = 2;
    config.admission.in_flight_max = 24;
    config.admission.tenant_in_flight_max = 12;
    config.admission.retry_after_ms = 7;
    config.supervision.delay_min_ms = 4;
    config.supervision.delay_max_ms = 100;
    config.commit.timeout_ms = 250;
    config.orders.step_deadline_ms = 2_000;
    config.effects.in_flight_max = 8;
    config.effects.participant_in_flight_max = 4;
    config.effects.backlog_max = 6;
    config.effects.waiting_max = 10;
    config.effects.call_timeout_ms = 200;
    config.effects.retry_min_ms = 3;
    config.effects.retry_max_ms = 60;
    (config.effects.call_attempts_max, config.effects.step_attempts_max) = (3, 3);
    config.effects.breaker_failures = 4;
    config.effects.breaker_open_ms = 30;
    config.effects.sweep_ms = 40;
    config
}

/// Some flow of a tenant; that of all others in half of the worlds.
fn flow(dice: &Dice) -> FlowRules {
    if dice.chance(500) {
        return FlowRules::DEFAULT;
    }
    let at = |count: usize| usize::try_from(dice.below(count as u64)).unwrap_or(0);
    FlowRules {
        version: 2,
        capture: CaptureAt::ALL[at(CaptureAt::ALL.len())],
        begins_with: BeginsWith::ALL[at(BeginsWith::ALL.len())],
        short_lines: ShortLines::ALL[at(ShortLines::ALL.len())],
        review: dice.chance(300),
        ..FlowRules::DEFAULT
    }
}
