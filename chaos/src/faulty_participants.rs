//! Participants behind a network: answers are lost, requests are late, doubled, or fail.

use std::sync::Arc;
use std::time::Duration;

use retailflow_engine::ports::{
    KeyStanding, Participant, Participants, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};

use crate::faults::{Fault, FaultDeck};
use crate::trace::Trace;

/// Greatest delay of a request that comes after its answer was given up, in milliseconds.
const LATE_MAX_MS: u64 = 400;

/// A participant with faults in front of it.
#[derive(Clone)]
pub(crate) struct FaultyParticipant {
    inner: Arc<dyn Participant>,
    role: Role,
    deck: Arc<FaultDeck>,
    trace: Arc<Trace>,
}

/// All three, with faults in front of them.
pub(crate) fn faulty(inner: &Participants, deck: &Arc<FaultDeck>, trace: &Arc<Trace>) -> Participants {
    let of = |role| -> Arc<dyn Participant> {
        let inner = inner.of(role).clone();
        Arc::new(FaultyParticipant { inner, role, deck: deck.clone(), trace: trace.clone() })
    };
    Participants { inventory: of(Role::Inventory), payments: of(Role::Payments), shipping: of(Role::Shipping) }
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
            self.delay().await;
            let fault = self.deck.step();
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
            let standing = match self.deck.step() {
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
            let settlement = match self.deck.step() {
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
