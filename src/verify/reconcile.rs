//! `retailflow reconcile`: what do the participants know of the steps that the log says were done?
//!
//! Invariant: it asks, and changes nothing on either side. A step that a participant has not seen may be one that it has
//! forgotten by right, and to ask for it anew could charge a card twice: what to do about a difference is for people.

use std::collections::HashMap;

use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::order::{Aggregate, Incoming, StepDone};
use retailflow_engine::ports::{
    Clock as _, EventLog as _, KeyStanding, LogPosition, LoggedEntry, Participants, Role, StepAnswer,
};
use serde::Serialize;

use crate::cli::data::DataArgs;
use crate::cli::{Context, print, render};
use retailflow_server::app::{self, Make, Store, SystemClock};
use retailflow_server::exit::{ExitStatus, Failure, OrExit};
use retailflow_server::participants::{self, Kind, sync_of};

/// Bytes of groups read at once.
const SCAN_BYTES: usize = 8 << 20;
/// Orders whose states are held while the log is read; of others the records are read again.
const ORDERS_MAX: usize = 10_000;
/// Keys asked for at the same time.
const ASKED_MAX: usize = 64;
/// Differences that are named.
const NAMED_MAX: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retailflow reconcile --data data --dry-run
  retailflow reconcile --data data -o json

After a restore or a power cut, and whenever `verify` says that a participant's book is behind. Nothing is changed: the
participants are asked what they know of each key. Exit code 0: they know of each step, or need not any more. 1: some do not, or cannot say; each is named.";

/// The arguments of `reconcile`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Ask nobody; say how many keys would be asked for
    #[arg(long)]
    dry_run: bool,
}

/// What came of it, for programs.
#[derive(Default, Serialize)]
struct Reconciled {
    dry_run: bool,
    /// Steps that the log says were done, by participant.
    steps: HashMap<&'static str, u64>,
    /// The participant says the same.
    agree: u64,
    /// It says something else, or has not seen the key.
    differ: u64,
    /// It has not seen the key, and need not remember it any more.
    forgotten: u64,
    /// It could not say.
    unknown: u64,
    /// The first that differ.
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct Difference {
    participant: &'static str,
    order: String,
    step: &'static str,
    key: String,
    says: String,
}

/// Runs the command.
pub(crate) fn exec(args: Args, context: Context) -> Result<(), Failure> {
    let books = participants::folder(&args.data.data);
    if !books.is_dir() {
        // Asking would make new ones, and they would say that nothing was done.
        return Err(Failure::unreachable(format!("there are no books in {}", books.display())));
    }
    let store = app::open(&args.data.data, &context.config.config, Make::Never)?;
    let runtime = app::runtime()?;
    let done = runtime.block_on(async {
        let (running, _reports) = participants::open(&args.data.data, Kind::Perfect, 0, sync_of(false))?;
        running.all_usable()?;
        let asking = Asking {
            participants: running.participants(),
            now: SystemClock.now(),
            done: Reconciled { dry_run: args.dry_run, ..Reconciled::default() },
            waiting: Vec::new(),
        };
        let done = walk(&store, asking).await;
        running.close().await;
        done
    });
    drop(runtime);
    store.close();
    let done = done?;
    let shown = serde_json::to_value(&done).or_exit(ExitStatus::Unreachable, || "cannot show it")?;
    print(&render(&shown, text(&done), context.output))?;
    if done.differ + done.unknown > 0 { Err(Failure::reported(ExitStatus::Finding)) } else { Ok(()) }
}

struct Asking {
    participants: Participants,
    now: TimestampMs,
    done: Reconciled,
    waiting: Vec<StepDone>,
}

/// Reads the log, and asks for the steps of each record.
async fn walk(store: &Store, mut asking: Asking) -> Result<Reconciled, Failure> {
    let mut orders: HashMap<OrderRef, Aggregate> = HashMap::new();
    let mut after = LogPosition(0);
    loop {
        let groups = store.log.scan(after, SCAN_BYTES).await;
        let groups = groups.or_exit(ExitStatus::Finding, || "cannot read the log")?;
        let Some(last) = groups.last() else { break };
        after = last.position;
        for entry in groups.iter().flat_map(|group| &group.entries) {
            let LoggedEntry::Record(bytes) = entry else { continue };
            let steps = steps(store, &mut orders, bytes).await;
            asking.waiting.extend(steps.or_exit(ExitStatus::Finding, || "a record cannot be read")?);
            if asking.waiting.len() >= ASKED_MAX {
                asking.ask().await;
            }
        }
    }
    asking.ask().await;
    Ok(asking.done)
}

/// The steps that a record says were done.
async fn steps(
    store: &Store,
    orders: &mut HashMap<OrderRef, Aggregate>,
    bytes: &[u8],
) -> anyhow::Result<Vec<StepDone>> {
    let incoming = Incoming::read(bytes)?;
    if orders.len() >= ORDERS_MAX && !orders.contains_key(incoming.order()) {
        orders.clear();
    }
    let mut before = match orders.remove(incoming.order()) {
        Some(before) => before,
        None => {
            let mut before = Aggregate::new(incoming.order().clone());
            if incoming.expected_revision() > 0 {
                for record in store.log.read_order(incoming.order(), 0).await? {
                    if before.revision >= incoming.expected_revision() {
                        break;
                    }
                    before.fold(&record.bytes, 1)?;
                }
            }
            before
        }
    };
    let done = incoming.steps_done(&mut before)?;
    orders.insert(incoming.order().clone(), before);
    Ok(done)
}

impl Asking {
    /// Asks for all that waits.
    async fn ask(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for step in &waiting {
            *self.done.steps.entry(Role::of(step.request.step).as_str()).or_default() += 1;
        }
        if self.done.dry_run {
            return;
        }
        let asked = waiting.iter().map(|step| {
            let participant = self.participants.of(Role::of(step.request.step));
            async move { participant.query(&step.request).await }
        });
        let standings = futures_util::future::join_all(asked).await;
        for (step, standing) in waiting.iter().zip(standings) {
            self.judge(step, standing);
        }
    }

    fn judge(&mut self, step: &StepDone, standing: KeyStanding) {
        let request = &step.request;
        let role = Role::of(request.step);
        let says = match standing {
            KeyStanding::Answered(StepAnswer::Done(performed))
                if step.reference.as_ref().is_none_or(|reference| *reference == performed.reference) =>
            {
                self.done.agree += 1;
                return;
            }
            KeyStanding::Answered(StepAnswer::Done(performed)) => {
                format!("done under the reference {}", performed.reference)
            }
            KeyStanding::Answered(answer) => format!("{answer:?}"),
            KeyStanding::NotSeen => {
                let until = request.expires.plus_ms(self.participants.of(role).remembers_ms());
                if until < self.now {
                    self.done.forgotten += 1;
                    return;
                }
                "it has not seen the key".to_owned()
            }
            KeyStanding::Unknown { reason } => {
                self.done.unknown += 1;
                return self.name(step, format!("it cannot say: {reason}"));
            }
        };
        self.done.differ += 1;
        self.name(step, says);
    }

    fn name(&mut self, step: &StepDone, says: String) {
        let request = &step.request;
        if self.done.differences.len() < NAMED_MAX {
            self.done.differences.push(Difference {
                participant: Role::of(request.step).as_str(),
                order: request.order.to_string(),
                step: request.step.as_str(),
                key: request.key.to_string(),
                says,
            });
        }
    }
}

fn text(done: &Reconciled) -> String {
    let mut text = String::new();
    for role in Role::ALL {
        let steps = done.steps.get(role.as_str()).copied().unwrap_or(0);
        text.push_str(&format!("{}: the log says that {steps} steps were done\n", role.as_str()));
    }
    if done.dry_run {
        text.push_str("nobody was asked\n");
        return text;
    }
    for difference in &done.differences {
        text.push_str(&format!(
            "differs: order {}, {} under {}: {} says {}\n",
            difference.order, difference.step, difference.key, difference.participant, difference.says
        ));
    }
    let unnamed = (done.differ + done.unknown).saturating_sub(done.differences.len() as u64);
    if unnamed > 0 {
        text.push_str(&format!("and {unnamed} more\n"));
    }
    text.push_str(&format!(
        "{} agree, {} differ, {} are no longer remembered, {} could not be told\n",
        done.agree, done.differ, done.forgotten, done.unknown
    ));
    text
}
