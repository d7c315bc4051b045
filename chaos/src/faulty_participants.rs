//! Participants behind a network: answers are lost, requests are late, doubled, or fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ids::{OrderRef, TimestampMs};
use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};
use retailflow_testkit::simulated::SimParticipants;

use retailflow_engine::wire::CommandEvent;
use retailflow_engine::wire::command::{ReportOutcome, Step};

use crate::faults::{Fault, FaultDeck};
use crate::trace::Trace;

/// Greatest delay of a request that comes after its answer was given up, in milliseconds.
const LATE_MAX_MS: u64 = 400;

/// A participant with faults in front of it.
#[derive(Clone)]
pub(crate) struct FaultyParticipant {
    inner: Arc<dyn Participant>,
    sim: Arc<SimParticipants>,
    reports: Arc<Reports>,
    role: Role,
    deck: Arc<FaultDeck>,
    trace: Arc<Trace>,
}

/// A step that a participant was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) order: OrderRef,
    pub(crate) step: Step,
    pub(crate) key: Arc<str>,
    /// Of which payment, from 0, where it is of one.
    pub(crate) payment: Option<usize>,
}

/// Reports that participants have sent and nobody has taken in yet, and what they were asked for last.
#[derive(Default)]
pub(crate) struct Reports(Mutex<Vec<CommandEvent>>, Mutex<BTreeMap<OrderRef, Asked>>);

impl Reports {
    /// The reports sent since the last time.
    pub(crate) fn take(&self) -> Vec<CommandEvent> {
        std::mem::take(&mut *self.0.lock())
    }

    /// What was asked for last, of each order: what an operator sees who looks over the participants' shoulders.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.1.lock().values().cloned().collect()
    }

    fn ask(&self, request: &StepRequest) {
        let (order, step, key) = (request.order.clone(), request.step, request.key.clone());
        let payment = step.is_of_payment().then_some(request.payment);
        self.1.lock().insert(order.clone(), Asked { order, step, key, payment });
    }
}

/// All three, with faults in front of them.
pub(crate) fn faulty_participants(
    sim: &Arc<SimParticipants>,
    deck: &Arc<FaultDeck>,
    trace: &Arc<Trace>,
    reports: &Arc<Reports>,
) -> Participants {
    let ports = sim.ports();
    let of = |role| -> Arc<dyn Participant> {
        Arc::new(FaultyParticipant {
            inner: ports.of(role).clone(),
            sim: sim.clone(),
            reports: reports.clone(),
            role,
            deck: deck.clone(),
            trace: trace.clone(),
        })
    };
    Participants {
        inventory: of(Role::Inventory),
        payments: of(Role::Payments),
        shipping: of(Role::Shipping),
        review: of(Role::Review),
    }
}

fn wanted<T: From<&'static str>>() -> T {
    "the world wants it so".into()
}

impl FaultyParticipant {
    async fn delay(&self) {
        let delay_ms = self.deck.latency_ms();
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    fn note(&self, what: &str, request: &StepRequest, told: &dyn std::fmt::Debug) {
        let (role, step) = (self.role.as_str(), request.step.as_str());
        self.trace.note(format!("{role} {what} {step} of {} {}: {told:?}", request.order, request.key));
    }

    /// Takes the step on, and reports it after a while.
    fn take_on(&self, request: &StepRequest) -> StepAnswer {
        let dice = self.deck.dice();
        let delay_ms = 1 + dice.below(2 * LATE_MAX_MS);
        // Some reports come after the step is looked at again, and some never.
        let until =
            request.expires.0.min(request.expires.0 - 2_000 + i64::try_from(dice.below(1_500)).unwrap_or(0));
        let answer = self.sim.take_on(request, TimestampMs(until));
        let lost = dice.chance(300);
        let outcome = if dice.chance(200) { ReportOutcome::Declined } else { ReportOutcome::Done };
        if let StepAnswer::Pending { .. } = answer {
            let (this, key) = (self.clone(), request.key.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                let event = this.sim.report(this.role, &key, outcome);
                this.trace.note(format!("{} reports {key}: {}", this.role.as_str(), event.is_some()));
                if !lost {
                    this.reports.0.lock().extend(event);
                }
            });
        }
        answer
    }

    /// The request arrives when nobody waits for it any more.
    fn late(&self, request: &StepRequest) {
        let (this, request) = (self.clone(), request.clone());
        let delay_ms = 1 + self.deck.dice().below(LATE_MAX_MS);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            let answer = this.inner.perform(&request).await;
            this.note("late", &request, &answer);
        });
    }
}

impl Participant for FaultyParticipant {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            self.reports.ask(request);
            self.delay().await;
            let forward =
                matches!(request.step, Step::Reserve | Step::Authorize | Step::Book | Step::Capture);
            let fault = self.deck.step(forward);
            let unknown = StepAnswer::Unknown { reason: wanted() };
            let answer = match fault {
                None => self.inner.perform(request).await,
                Some(Fault::StepTwice) => {
                    let first = self.inner.perform(request).await;
                    self.note("first", request, &first);
                    self.inner.perform(request).await
                }
                Some(Fault::StepLost | Fault::StepSilent) => {
                    let answer = self.inner.perform(request).await;
                    self.note("unheard", request, &answer);
                    unknown
                }
                Some(Fault::StepLate) => {
                    self.late(request);
                    unknown
                }
                Some(Fault::StepDeclined) => self.sim.decline(request),
                Some(Fault::StepPending) => self.take_on(request),
                Some(Fault::StepFailed) => StepAnswer::Failed { reason: wanted() },
                Some(_) => unknown,
            };
            if fault == Some(Fault::StepSilent) {
                std::future::pending::<()>().await;
            }
            self.delay().await;
            self.note("performs", request, &answer);
            answer
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            self.delay().await;
            let standing = match self.deck.step(false) {
                None => self.inner.query(request).await,
                Some(_) => KeyStanding::Unknown { reason: wanted() },
            };
            self.note("looks at", request, &standing);
            standing
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            self.delay().await;
            let unknown = Settlement::Unknown { reason: wanted() };
            let settlement = match self.deck.step(false) {
                None => self.inner.settle(request).await,
                Some(Fault::StepLost | Fault::StepSilent) => {
                    let settlement = self.inner.settle(request).await;
                    self.note("unheard", request, &settlement);
                    unknown
                }
                Some(_) => unknown,
            };
            self.delay().await;
            self.note("settles", request, &settlement);
            settlement
        })
    }

    fn remembers_ms(&self) -> u64 {
        self.inner.remembers_ms()
    }
}
