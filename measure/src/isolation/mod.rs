//! What others feel of a part that is sick: the same load while all is well, while one part is sick, and afterwards.
//!
//! - [`measure`]: one sickness on a node of its own
//! - `stuck`: a log of which some partitions answer nobody, and a participant that does the same
//! - `callers`: who asks, and what they are told in each of the three times

mod callers;
mod stuck;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use retailflow_actors::{Intake, Node, NodeHandle, Ports, Settings};
use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::memory::MemoryInbox;
use retailflow_engine::ports::{Body, Participants};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::callers::{CallerStats, Whose, call};
use self::stuck::{StuckLog, StuckParticipant, Switch};
use super::report::Measured;
use retailflow_server::participants::instant::Instant as AtOnce;

/// For the node to stop, and for the callers of the sick part to have their answers.
const END_MAX: Duration = Duration::from_secs(60);
/// The tenant that publishes what is refused, so many a second.
const REFUSALS_A_SECOND: u64 = 1_000;
/// Refusals are published in so many pieces a second.
const PIECES_A_SECOND: u64 = 20;

/// What is sick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Some partitions' log answers nobody.
    Log,
    /// Payments answer nobody.
    Participant,
    /// One tenant publishes a thousand commands a second that are refused.
    Refusals,
}

/// How much is asked, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Each of the three times.
    pub each: Duration,
    /// Callers of what is well; as many ask for orders of the partitions that are sick.
    pub callers: usize,
}

/// A process that is stopped for a while: the server that keeps the log of the sick partitions.
#[derive(Clone, Copy, Debug)]
pub struct Frozen(pub rustix::process::Pid);

/// One time, as those felt it who have nothing to do with the sick part.
#[derive(Debug, Clone, Serialize)]
pub struct Time {
    /// What those felt who ask for other parts.
    pub others: Measured,
    /// Asked again because of a refusal, or of no answer in time.
    pub others_refused: u64,
    /// Places of the sick part that had their outcome.
    pub sick_placed: u64,
}

/// What was felt of one sickness.
#[derive(Debug, Clone, Serialize)]
pub struct Felt {
    /// What was sick.
    pub part: Part,
    /// Before.
    pub well: Time,
    /// Meanwhile.
    pub sick: Time,
    /// Afterwards.
    pub after: Time,
}

/// Measures one sickness on a node on `ports`, whose participants are replaced.
pub async fn measure(
    config: &Config,
    ports: Ports,
    part: Part,
    sick: BTreeSet<PartitionId>,
    frozen: Option<Frozen>,
    load: Load,
) -> anyhow::Result<Felt> {
    let switch = Switch::new();
    let at_once = Arc::new(AtOnce::default());
    let all = at_once.participants();
    let participants = match part {
        Part::Participant => Participants {
            payments: Arc::new(StuckParticipant { inner: all.payments.clone(), switch: switch.clone() }),
            ..all
        },
        Part::Log | Part::Refusals => all,
    };
    let stuck = match (part, frozen) {
        (Part::Log, None) => sick.clone(),
        _ => BTreeSet::new(),
    };
    let partitions = ports.log.identity().partitions;
    let log = Arc::new(StuckLog { inner: ports.log.clone(), stuck, switch: switch.clone() });
    let settings = Settings::new(config.clone(), "bench");
    let node = Node::start(settings, Ports { log, participants, ..ports }).await?;
    let felt = felt(&node, partitions, part, &sick, frozen, &switch, load).await;
    switch.set(false);
    let stop = node.stop(END_MAX).await;
    let felt = felt?;
    anyhow::ensure!(stop.drained, "the node did not come to rest afterwards");
    Ok(felt)
}

async fn felt(
    node: &NodeHandle,
    partitions: u16,
    part: Part,
    sick: &BTreeSet<PartitionId>,
    frozen: Option<Frozen>,
    switch: &Switch,
    load: Load,
) -> anyhow::Result<Felt> {
    let (time, now) = watch::channel(Some(0));
    let mut others = JoinSet::new();
    let mut sicks = JoinSet::new();
    for caller in 0..load.callers {
        let whose = Whose { caller, partitions, sick: sick.clone(), is_sick: false };
        others.spawn(call(node.clone(), whose.clone(), now.clone()));
        if part == Part::Log {
            sicks.spawn(call(node.clone(), Whose { is_sick: true, ..whose }, now.clone()));
        }
    }
    tokio::time::sleep(load.each).await;
    time.send_replace(Some(1));
    let spell = async {
        match part {
            Part::Refusals => refusals(node, load.each).await?,
            Part::Log | Part::Participant => {
                switch.set(true);
                let _thaw = frozen.map(Thaw::freeze).transpose()?;
                tokio::time::sleep(load.each).await;
            }
        }
        anyhow::Ok(())
    };
    spell.await?;
    switch.set(false);
    time.send_replace(Some(2));
    tokio::time::sleep(load.each).await;
    time.send_replace(None);
    let gather = async |mut callers: JoinSet<anyhow::Result<[CallerStats; 3]>>| {
        let mut stats = [CallerStats::new()?, CallerStats::new()?, CallerStats::new()?];
        while let Some(one) = callers.join_next().await {
            for (all, one) in stats.iter_mut().zip(one??) {
                all.add(&one)?;
            }
        }
        anyhow::Ok(stats)
    };
    let ended =
        tokio::time::timeout(END_MAX, async { anyhow::Ok((gather(others).await?, gather(sicks).await?)) });
    let (others, sicks) = ended.await.context("callers wait for ever")??;
    let name = |which: &str| format!("others, {which}");
    let times = ["well", "sick", "after"].map(name);
    let [well, ill, after] = [0, 1, 2].map(|at: usize| {
        let CallerStats { latency_us, refused } = &others[at];
        Time {
            others: Measured::new(&times[at], latency_us.len(), load.each, latency_us),
            others_refused: *refused,
            sick_placed: sicks[at].latency_us.len(),
        }
    });
    Ok(Felt { part, well, sick: ill, after })
}

/// A tenant that publishes cancels of what was never placed.
async fn refusals(node: &NodeHandle, lasting: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut every = tokio::time::interval(Duration::from_millis(1_000 / PIECES_A_SECOND));
    let mut piece = 0_u64;
    while begun.elapsed() < lasting {
        every.tick().await;
        let each = REFUSALS_A_SECOND / PIECES_A_SECOND;
        let bodies =
            (piece * each..(piece + 1) * each).map(|number| Body::Bytes(callers::cancel(number).into()));
        let name = format!("refusals-{piece}");
        let mut inbox = MemoryInbox::new(&name, bodies.collect());
        let (_stop, stopped) = watch::channel(false);
        let read = Intake::new(node, &inbox, name).run(&mut inbox, stopped, |_| {}).await;
        read.context("the refused commands are not read")?;
        piece += 1;
    }
    Ok(())
}

/// Goes on whatever becomes of the measurement.
struct Thaw(Frozen);

impl Thaw {
    fn freeze(frozen: Frozen) -> anyhow::Result<Self> {
        rustix::process::kill_process(frozen.0, rustix::process::Signal::STOP)
            .context("cannot stop the server's process")?;
        Ok(Self(frozen))
    }
}

impl Drop for Thaw {
    fn drop(&mut self) {
        if let Err(error) = rustix::process::kill_process(self.0.0, rustix::process::Signal::CONT) {
            tracing::error!(%error, "the server's process stays stopped");
        }
    }
}

impl Felt {
    /// For people.
    pub fn rows(&self) -> String {
        let name = match self.part {
            Part::Log => "the log of some partitions answers nobody",
            Part::Participant => "payments answer nobody",
            Part::Refusals => "one tenant publishes 1,000 refusals a second",
        };
        let mut text = format!("{name}:\n");
        for time in [&self.well, &self.sick, &self.after] {
            text.push_str("  ");
            text.push_str(&time.others.row());
            text.push_str(&format!(
                "    refused or not answered in time: {}; placed in the sick part: {}\n",
                time.others_refused, time.sick_placed
            ));
        }
        let change = |of: fn(&Measured) -> f64| {
            100.0 * (of(&self.sick.others) / of(&self.well.others).max(1e-9) - 1.0)
        };
        text.push_str(&format!(
            "  while it is sick, others have {:+.0} % of rate and {:+.0} % of p99\n",
            change(|measured| measured.per_second),
            change(|measured| measured.p99_ms)
        ));
        text
    }
}
