//! How a world reads its inbox, and how it is audited.

use std::time::Duration;

use retailflow_actors::{Intake, IntakeEvent, NodeHandle};
use retailflow_engine::ids::{CommandId, CommandKey, PartitionId, Source, TimestampMs};
use retailflow_engine::memory::MemoryInbox;
use retailflow_engine::order::{Actor, Command};
use retailflow_engine::ports::Body;
use retailflow_engine::wire::command::{CancelData, CancelLine, ReleaseHoldData, ReportOutcome, ResumeData};
use retailflow_engine::wire::{CommandData, CommandEvent, decode_command};
use retailflow_invariants::{InvariantId, Violation};
use tokio::sync::watch;

use super::{TRIES_MAX, World};
use crate::callers::is_final;
use crate::script::HOLD;

/// Looks, 50 ms apart, until all orders must have ended.
const REST_TRIES: u32 = 2_000;
/// So many looks, and then people see to what is open still: held, on hold, waiting for a payment or for goods.
const PEOPLE_EVERY: u32 = 20;
/// Orders that they see to at a time, of each partition.
const SEEN_TO_MAX: usize = 50;

impl World<'_> {
    /// Reads the inbox from its beginning into `node`.
    pub(super) async fn intake(&self, node: &NodeHandle) {
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
                self.shared.record_answer(&format!("line {}", event.position), &command, &event.outcome);
                if !is_final(&event.outcome) {
                    let text = format!("line {} was given up: {:?}", event.position, event.outcome);
                    self.shared.violated(Violation::new(InvariantId::Progress, text));
                }
            }
            None => self.shared.trace.note(format!("line {}: {}", event.position, event.outcome.code)),
        }
    }

    /// Brings the participants' reports in, and what an operator says of their steps, for ever.
    pub(super) async fn report(&self, node: &NodeHandle) {
        loop {
            let said = self.operator.says(&self.reports.asked(), &self.sim);
            self.unanswered.lock().extend(said);
            self.report_once(node).await;
            tokio::time::sleep(Duration::from_millis(13)).await;
        }
    }

    /// Asks once for each report that has no answer for good.
    async fn report_once(&self, node: &NodeHandle) {
        self.unanswered.lock().extend(self.reports.take());
        let waiting = self.unanswered.lock().clone();
        for event in waiting {
            let (who, actor) = match event.kind().is_operator() {
                true => ("operator", Actor::Operator("ops".into())),
                false => ("report", Actor::Tenant),
            };
            let command = Command::from_event(event.clone(), actor);
            let patience = Duration::from_millis(500);
            let Ok(outcome) = tokio::time::timeout(patience, node.ask(command)).await else { continue };
            self.shared.record_answer(who, &event, &outcome);
            if is_final(&outcome) {
                self.unanswered.lock().retain(|other| other.key != event.key);
            }
        }
    }

    /// Every order comes to its end, once nothing goes wrong any more and every participant decides.
    async fn come_to_rest(&self, node: &NodeHandle) {
        for look in 0..REST_TRIES {
            if look % PEOPLE_EVERY == PEOPLE_EVERY - 1 {
                self.people_look(look / PEOPLE_EVERY).await;
            }
            for (role, key) in self.sim.pending() {
                self.unanswered.lock().extend(self.sim.report(role, &key, ReportOutcome::Done));
            }
            self.report_once(node).await;
            if node.has_open_orders().await == Some(false) && self.unanswered.lock().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let text = format!("orders are open that nobody brings to an end: {:?}", node.effect_counts());
        self.shared.violated(Violation::new(InvariantId::Progress, text));
    }

    /// People see to the orders that are open still: they are released and resumed; what is not to be had of them is canceled.
    async fn people_look(&self, time: u32) {
        let mut commands = Vec::new();
        for partition in 0..self.plan.config.log.partitions {
            let ever = TimestampMs(i64::MAX);
            let due = self.ports.deadlines.list(PartitionId(partition), None, ever, SEEN_TO_MAX).await;
            for (number, due) in due.unwrap_or_default().into_iter().enumerate() {
                for (act, data) in seen_to(time).into_iter().enumerate() {
                    let id = format!("rest{time}-{partition}-{number}-{act}");
                    let (Ok(id), Ok(source)) = (CommandId::parse(&id), Source::parse("/ops")) else {
                        continue;
                    };
                    commands.push(CommandEvent::new(due.order.clone(), CommandKey { source, id }, data));
                }
            }
        }
        self.unanswered.lock().extend(commands);
    }

    /// Asks a fresh node for everything once more, with nothing going wrong.
    pub(super) async fn audit(&mut self) {
        self.deck.calm();
        self.steps.calm();
        self.probe.calm();
        self.shared.trace.note("audit");
        let Some(node) = self.start().await else { return };
        for event in self.script.events.clone() {
            let command = Command::from_event(event.clone(), Actor::Tenant);
            let mut tries = 0;
            loop {
                let outcome = node.ask(command.clone()).await;
                self.shared.record_answer("audit", &event, &outcome);
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
        self.come_to_rest(&node).await;
        let report = node.stop(Duration::from_secs(30)).await;
        if !report.drained || report.abandoned > 0 {
            self.shared.violated(Violation::new(InvariantId::Progress, format!("no clean stop: {report:?}")));
        }
    }
}

/// What people do for an order that is open still, the `time`-th time.
fn seen_to(time: u32) -> Vec<CommandData> {
    let release = ReleaseHoldData { name: HOLD.into(), reason: None, expected_version: None };
    let resume = CommandData::Resume(ResumeData::default());
    if time % 4 < 2 {
        return vec![CommandData::ReleaseHold(release), resume];
    }
    let cancel = |lines| {
        let reason = "it is not to be had".into();
        CommandData::Cancel(CancelData { reason, lines, expected_version: None })
    };
    let unit = |line_id: &str| vec![CancelLine { line_id: line_id.into(), quantity: 1 }];
    let mut acts = vec![cancel(unit("1")), cancel(unit("2")), cancel(unit("3"))];
    if time % 4 == 3 {
        acts.push(cancel(Vec::new()));
    }
    acts.push(resume);
    acts
}
