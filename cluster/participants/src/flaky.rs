//! A participant on a bad day.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_engine::ports::{
    KeyStanding, Participant, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::command::ReportOutcome;
use retailflow_testkit::simulated::{CallFault, DrawnCall, SimParticipants};

use super::world::World;

/// Keys whose calls are counted at most; beyond it counting begins anew.
const COUNTED_MAX: usize = 1 << 20;
/// How much longer than the report takes a pending step is said to take, in milliseconds.
const PATIENCE_MS: u64 = 2_000;

/// The participant of a role, with faults in front of it.
pub(super) struct Flaky {
    role: Role,
    honest: Arc<dyn Participant>,
    sim: Arc<SimParticipants>,
    world: Arc<World>,
    calls: Mutex<HashMap<Arc<str>, u32>>,
}

impl Flaky {
    pub(super) fn new(
        role: Role,
        honest: Arc<dyn Participant>,
        sim: Arc<SimParticipants>,
        world: Arc<World>,
    ) -> Self {
        Self { role, honest, sim, world, calls: Mutex::default() }
    }

    fn drawn(&self, request: &StepRequest) -> DrawnCall {
        let call = {
            let mut calls = self.calls.lock();
            if calls.len() >= COUNTED_MAX {
                calls.clear();
            }
            let count = calls.entry(request.key.clone()).or_default();
            *count += 1;
            *count - 1
        };
        self.world.rates.draw(self.world.seed, &request.key, call, request.step)
    }

    async fn wait(&self, drawn: &DrawnCall) {
        if drawn.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(drawn.latency_ms)).await;
        }
    }

    fn take_on(&self, request: &StepRequest, drawn: &DrawnCall) -> StepAnswer {
        let until = self.world.clock.now().plus_ms(drawn.delay_ms + PATIENCE_MS);
        let answer = self.sim.take_on(request, until);
        if let StepAnswer::Pending { .. } = answer {
            let (sim, role, key) = (self.sim.clone(), self.role, request.key.clone());
            // One in ten is decided against after all.
            let outcome =
                if drawn.delay_ms.is_multiple_of(10) { ReportOutcome::Declined } else { ReportOutcome::Done };
            self.world.later(&request.key, move || sim.report(role, &key, outcome));
        }
        answer
    }
}

impl Participant for Flaky {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            let drawn = self.drawn(request);
            self.wait(&drawn).await;
            match drawn.fault {
                None => self.honest.perform(request).await,
                Some(CallFault::Duplicate) => {
                    drop(self.honest.perform(request).await);
                    self.honest.perform(request).await
                }
                Some(CallFault::Failure) => StepAnswer::Failed { reason: "it did not work".into() },
                Some(CallFault::Decline) => self.sim.decline(request),
                Some(CallFault::LostAnswer) => {
                    drop(self.honest.perform(request).await);
                    StepAnswer::Unknown { reason: "the answer was lost".into() }
                }
                Some(CallFault::Pending) => self.take_on(request, &drawn),
                Some(CallFault::Delayed) => {
                    let (sim, request) = (self.sim.clone(), request.clone());
                    self.world.after(drawn.delay_ms, move |_| async move { drop(sim.perform(&request)) });
                    StepAnswer::Unknown { reason: "there was no answer in time".into() }
                }
            }
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            let drawn = self.drawn(request);
            self.wait(&drawn).await;
            match drawn.fault {
                Some(CallFault::Failure) => KeyStanding::Unknown { reason: "it did not work".into() },
                _ => self.honest.query(request).await,
            }
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            let drawn = self.drawn(request);
            self.wait(&drawn).await;
            match drawn.fault {
                Some(CallFault::Failure) => Settlement::Unknown { reason: "it did not work".into() },
                Some(CallFault::LostAnswer) => {
                    drop(self.honest.settle(request).await);
                    Settlement::Unknown { reason: "the answer was lost".into() }
                }
                _ => self.honest.settle(request).await,
            }
        })
    }

    fn remembers_ms(&self) -> u64 {
        self.honest.remembers_ms()
    }
}
