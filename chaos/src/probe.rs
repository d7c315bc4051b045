//! Crashes actors, or the node, at chosen points of a command's way.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use retailflow_actors::{Probe, ProbePoint, ProbeVerdict};
use tokio::sync::Notify;

use crate::plan::Crashes;
use crate::script::POISON;
use crate::time::Dice;
use crate::trace::Trace;

/// One order is crashed by chance at most this often: more within a window would park it, and rightly so.
const CRASHES_PER_SUBJECT_MAX: u32 = 3;

#[derive(Debug, Default)]
struct Seen {
    visits: u64,
    by_point: BTreeMap<ProbePoint, u64>,
    crashed: BTreeMap<String, u32>,
    crashes: u32,
}

/// The probe of a world.
#[derive(Debug)]
pub(crate) struct CrashProbe {
    crashes: Crashes,
    dice: Dice,
    trace: Arc<Trace>,
    kill_node: Arc<Notify>,
    seen: Mutex<Seen>,
    calm: std::sync::atomic::AtomicBool,
}

impl CrashProbe {
    pub(crate) fn new(crashes: Crashes, dice: Dice, trace: Arc<Trace>, kill_node: Arc<Notify>) -> Self {
        Self { crashes, dice, trace, kill_node, seen: Mutex::default(), calm: false.into() }
    }

    /// From now on only the poisoned order crashes.
    pub(crate) fn calm(&self) {
        self.calm.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// How often each point was reached while crashes were possible.
    pub(crate) fn visits(&self) -> BTreeMap<ProbePoint, u64> {
        self.seen.lock().by_point.clone()
    }

    fn wants(&self, seen: &mut Seen, subject: &str) -> bool {
        match self.crashes {
            Crashes::None => false,
            Crashes::Random { permille, count_max } => {
                let drawn = self.dice.chance(permille) && seen.crashes < count_max;
                let times = seen.crashed.entry(subject.to_owned()).or_default();
                let crash = drawn && *times < CRASHES_PER_SUBJECT_MAX;
                *times += u32::from(crash);
                crash
            }
            Crashes::ActorAt(visit) => seen.visits == visit,
            Crashes::NodeAt(visit) => {
                if seen.visits == visit {
                    self.trace.note(format!("the node dies at visit {visit}"));
                    self.kill_node.notify_one();
                }
                false
            }
        }
    }
}

impl Probe for CrashProbe {
    fn at(&self, point: ProbePoint, subject: &str) -> ProbeVerdict {
        let is_poison = subject.ends_with(POISON) && point == ProbePoint::OrderDecide;
        if self.calm.load(std::sync::atomic::Ordering::Relaxed) {
            return if is_poison { ProbeVerdict::Crash } else { ProbeVerdict::Pass };
        }
        let mut seen = self.seen.lock();
        seen.visits += 1;
        *seen.by_point.entry(point).or_default() += 1;
        let chosen = self.wants(&mut seen, subject);
        if chosen {
            seen.crashes += 1;
        }
        if chosen || is_poison {
            self.trace.note(format!("crash at {point:?} of {subject}"));
            return ProbeVerdict::Crash;
        }
        ProbeVerdict::Pass
    }
}
