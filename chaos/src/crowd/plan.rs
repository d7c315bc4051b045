//! How large a crowd is, and who in it is sick of what.

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::Role;

use crate::time::Dice;

/// What is wrong with one part, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sickness {
    /// Nothing; but fewer orders may be in memory than there are.
    Crowded,
    /// The log of one partition does not answer appends.
    Log(PartitionId),
    /// The same of a partition and the next one, as if both were on one shard.
    Shard(PartitionId),
    /// The log and the index of one partition do not answer reads.
    Reads(PartitionId),
    /// A participant answers nothing.
    Silent(Role),
    /// A participant answers each call just before its time is over.
    Slow(Role),
    /// Payments says of some orders that it took another amount than it was asked for.
    Contradicts,
    /// One order fails at every command, is parked, and gets more commands than any other.
    HotParked,
    /// The same, and the log of its partition does not answer appends.
    ParkedInDoubt(PartitionId),
    /// The same, and its tenant crashes meanwhile.
    TenantCrashes(PartitionId),
    /// Appends of a node fail for good in one partition, which another node takes over; then they fail no more.
    Replaced(PartitionId),
    /// One tenant publishes nothing but commands that are refused, all into one partition.
    Refusals(PartitionId),
    /// One tenant, of which one command at a time may be under way, publishes hundreds into one partition, before the others'.
    Published(PartitionId),
}

impl Sickness {
    /// How many there are.
    pub const KINDS: u64 = 13;

    /// Whether appends to `partition`, one of so many, are not answered.
    pub(super) fn silences(self, partition: PartitionId, partitions: u16) -> bool {
        match self {
            Self::Log(sick) | Self::ParkedInDoubt(sick) | Self::TenantCrashes(sick) => sick == partition,
            Self::Shard(sick) => sick == partition || (sick.0 + 1) % partitions == partition.0,
            _ => false,
        }
    }

    /// The partition of the order that is parked, where it matters; `None`: there is no such order.
    pub(super) fn parks(self) -> Option<Option<PartitionId>> {
        match self {
            Self::HotParked => Some(None),
            Self::ParkedInDoubt(partition) | Self::TenantCrashes(partition) => Some(Some(partition)),
            _ => None,
        }
    }
}

/// Everything about a crowd but its seed.
#[derive(Debug, Clone, PartialEq)]
pub struct CrowdPlan {
    /// Orders, the poisoned one aside.
    pub orders: u32,
    /// Tenants.
    pub tenants: u32,
    /// The time within which orders are placed, in milliseconds.
    pub spread_ms: u64,
    /// How long a caller waits before it asks again, in milliseconds.
    pub patience_ms: u64,
    /// What is wrong.
    pub sickness: Sickness,
    /// When that begins, in milliseconds.
    pub sick_from_ms: u64,
    /// The same for those that were published behind others'.
    pub published_max_ms: u64,
    /// How long it lasts, in milliseconds.
    pub sick_for_ms: u64,
    /// Bound on the wait for an answer of commands that the sickness does not concern, in milliseconds.
    pub answer_max_ms: u64,
    /// Bound on the time for which nobody drives an order, in milliseconds.
    pub undriven_max_ms: u64,
    /// The numbers the node runs with.
    pub config: Config,
}

impl CrowdPlan {
    /// The plan of `seed`: each kind of sickness in turn.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let dice = Dice::new(seed, 10);
        let role = Role::ALL[usize::try_from(dice.below(3)).unwrap_or(0)];
        let partitions = 3 + u16::try_from(dice.below(3)).unwrap_or(0);
        let partition = PartitionId(u16::try_from(dice.below(u64::from(partitions))).unwrap_or(0));
        let sickness = match seed % Sickness::KINDS {
            0 => Sickness::Crowded,
            1 => Sickness::Silent(role),
            2 => Sickness::Contradicts,
            3 => Sickness::Slow(role),
            4 => Sickness::Log(partition),
            5 => Sickness::Reads(partition),
            6 => Sickness::HotParked,
            7 => Sickness::Refusals(partition),
            8 => Sickness::Shard(partition),
            9 => Sickness::ParkedInDoubt(partition),
            10 => Sickness::TenantCrashes(partition),
            11 => Sickness::Replaced(partition),
            _ => Sickness::Published(partition),
        };
        Self::of(&dice, sickness, partitions)
    }

    fn of(dice: &Dice, sickness: Sickness, partitions: u16) -> Self {
        let orders = 80 + u32::try_from(dice.below(120)).unwrap_or(0);
        let tenants = 3 + u32::try_from(dice.below(3)).unwrap_or(0);
        let mut config = with_long_timeouts();
        config.log.partitions = partitions;
        // Everyone may ask at once; nobody more than once.
        config.admission.in_flight_max = orders as usize;
        config.admission.tenant_in_flight_max = (orders * 2).div_ceil(tenants) as usize;
        config.admission.partition_in_flight_max = orders as usize;
        // Half of them are told soon that a log owes an answer, half never: permits must end with their callers in both.
        config.admission.doubt_ms = if dice.chance(500) { 300 } else { 60_000 };
        config.orders.live_max = match sickness {
            Sickness::Crowded => 1 + usize::try_from(dice.below(6)).unwrap_or(0),
            _ => 10_000,
        };
        Self {
            orders,
            tenants,
            spread_ms: 2_500 + dice.below(2_500),
            patience_ms: 200 + dice.below(200),
            sickness,
            sick_from_ms: 300 + dice.below(300),
            sick_for_ms: 3_000 + dice.below(3_000),
            answer_max_ms: 200,
            published_max_ms: 600,
            undriven_max_ms: 500,
            config,
        }
    }

    /// The same for the real runtime: in less time, and judged with the patience that a busy machine asks for, which is
    /// still far less than the sickness lasts.
    #[must_use]
    pub fn on_threads(mut self) -> Self {
        self.spread_ms = 2_000;
        self.sick_from_ms = 200;
        self.sick_for_ms = 4_000;
        self.answer_max_ms = 1_500;
        self.published_max_ms = 1_500;
        self.undriven_max_ms = 1_500;
        self.config.effects.undriven_max_ms = 1_500;
        self
    }

    /// A crowd that has not come to rest in this time after its sickness never does.
    pub(super) fn rest_max(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.sick_until_ms() + 30_000)
    }

    /// When another node takes over what one cannot write, in milliseconds.
    pub(super) fn replaced_at_ms(&self) -> u64 {
        self.sick_from_ms + self.sick_for_ms / 3
    }

    /// When the sickness is over, in milliseconds.
    #[must_use]
    pub fn sick_until_ms(&self) -> u64 {
        self.sick_from_ms + self.sick_for_ms
    }
}

/// No deadline heals anything, and what is limited is met.
fn with_long_timeouts() -> Config {
    let mut config = Config::default();
    config.orders.idle_ms = 400;
    config.orders.hydrate_concurrency_max = 4;
    config.orders.step_deadline_ms = 24 * 3_600_000;
    config.log.group_max_records = 16;
    config.admission.retry_after_ms = 20;
    config.supervision.delay_min_ms = 4;
    config.supervision.delay_max_ms = 100;
    config.commit.timeout_ms = 300;
    config.effects.in_flight_max = 24;
    config.effects.participant_in_flight_max = 12;
    config.effects.call_timeout_ms = 250;
    config.effects.retry_min_ms = 3;
    config.effects.retry_max_ms = 100;
    config.effects.breaker_failures = 5;
    config.effects.breaker_open_ms = 30;
    config.effects.sweep_ms = 50;
    config.effects.undriven_max_ms = 300;
    config
}
