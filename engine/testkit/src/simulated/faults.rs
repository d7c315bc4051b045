//! What goes wrong with a call, drawn from the call itself: the same whatever else runs beside it.

use retailflow_engine::keys::sha256;
use retailflow_engine::wire::command::Step;

/// Calls of one key after which nothing goes wrong any more, so that everything comes to an end.
const CALLS_WITH_FAULTS_MAX: u32 = 6;

/// How often what goes wrong, in thousandths of the calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// The call fails, and did nothing.
    pub failure_permille: u32,
    /// The participant decides against it. Forward steps only.
    pub decline_permille: u32,
    /// It is done, and the answer lost.
    pub lost_answer_permille: u32,
    /// It is taken on, and reported later. Forward steps only.
    pub pending_permille: u32,
    /// The answer is given up, and the request arrives later.
    pub delayed_permille: u32,
    /// It is delivered twice.
    pub duplicate_permille: u32,
    /// Greatest latency of a call, in milliseconds.
    pub latency_max_ms: u64,
    /// Greatest delay of a delayed request or a report, in milliseconds.
    pub delay_max_ms: u64,
}

impl FaultRates {
    /// Nothing goes wrong, and every answer is there at once.
    pub const NONE: Self = Self {
        failure_permille: 0,
        decline_permille: 0,
        lost_answer_permille: 0,
        pending_permille: 0,
        delayed_permille: 0,
        duplicate_permille: 0,
        latency_max_ms: 0,
        delay_max_ms: 0,
    };

    /// A bad day: 10 % failures, 5 % declines, 5 % lost answers, 2 % pending, 2 % delayed and 2 % doubled requests.
    pub const FLAKY: Self = Self {
        failure_permille: 100,
        decline_permille: 50,
        lost_answer_permille: 50,
        pending_permille: 20,
        delayed_permille: 20,
        duplicate_permille: 20,
        latency_max_ms: 3,
        delay_max_ms: 150,
    };
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallFault {
    /// It fails, and did nothing.
    Failure,
    /// The participant decides against it.
    Decline,
    /// It is done, and the answer lost.
    LostAnswer,
    /// It is taken on, and reported later.
    Pending,
    /// It arrives later.
    Delayed,
    /// It is delivered twice.
    Duplicate,
}

/// A call as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnCall {
    /// What goes wrong, if anything.
    pub fault: Option<CallFault>,
    /// How long the answer takes, in milliseconds.
    pub latency_ms: u64,
    /// How long a delayed request or a report takes, in milliseconds.
    pub delay_ms: u64,
}

impl FaultRates {
    /// What befalls call number `call` (from 0) of a key, in the world of `seed`.
    #[must_use]
    pub fn draw(&self, seed: u64, key: &str, call: u32, step: Step) -> DrawnCall {
        let mut named = Vec::with_capacity(key.len() + 12);
        named.extend_from_slice(&seed.to_le_bytes());
        named.extend_from_slice(&call.to_le_bytes());
        named.extend_from_slice(key.as_bytes());
        let digest = sha256(&named);
        let number =
            |at: usize| digest[at..at + 8].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let forward =
            matches!(step, Step::Reserve | Step::Authorize | Step::Book | Step::Capture | Step::Review);
        let only_forward = |permille: u32| if forward { permille } else { 0 };
        let weights = [
            (self.failure_permille, CallFault::Failure),
            (only_forward(self.decline_permille), CallFault::Decline),
            (self.lost_answer_permille, CallFault::LostAnswer),
            (only_forward(self.pending_permille), CallFault::Pending),
            (self.delayed_permille, CallFault::Delayed),
            (self.duplicate_permille, CallFault::Duplicate),
        ];
        let mut drawn = number(0) % 1000;
        let fault = weights.into_iter().find_map(|(permille, fault)| {
            let hit = drawn < u64::from(permille);
            drawn = drawn.saturating_sub(u64::from(permille));
            hit.then_some(fault)
        });
        DrawnCall {
            fault: fault.filter(|_| call < CALLS_WITH_FAULTS_MAX),
            latency_ms: number(8) % (self.latency_max_ms + 1),
            delay_ms: 1 + number(16) % (self.delay_max_ms + 1),
        }
    }
}
