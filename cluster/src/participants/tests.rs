//! Books over a crash: what was answered is answered again, and nothing runs twice.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use retailflow_engine::contract::Subject;
use retailflow_engine::contract::participants::{self as contract, ManualClock};
use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use retailflow_engine::memory::participants::{FaultRates, SimOptions};
use retailflow_engine::money::Currency;
use retailflow_engine::order::{Line, Placed};
use retailflow_engine::ports::{Clock, Participants, PortFuture, Role, StepAnswer, StepRequest};
use retailflow_engine::wire::command::Step;

use super::{SimRunning, audit, open};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_000)
    }
}

fn request(order: u32, step: Step, key: &str, reference: Option<Arc<str>>) -> StepRequest {
    let line = Line {
        line_id: "1".into(),
        sku: "a\tb,c:d".into(),
        quantity: 3,
        amount_minor: 900,
        components: [].into(),
    };
    let placed = Placed {
        customer: "c".into(),
        currency: Currency::parse("USD").unwrap(),
        total_minor: 900,
        lines: [line].into(),
        components: [].into(),
        payments: [].into(),
        delivery: None,
        attributes: [].into(),
        placed_at: None,
        sealed: None,
    };
    let (tenant, id) = (TenantId::parse("t").unwrap(), OrderId::parse(&format!("o{order}")).unwrap());
    StepRequest {
        key: format!("{order}-{key}").into(),
        order: OrderRef { tenant, order: id },
        step,
        reference,
        amount_minor: if Role::of(step) == Role::Payments { 900 } else { 0 },
        units: None,
        placed: placed.into(),
        expires: TimestampMs(60_000),
    }
}

async fn perform(participants: &Participants, request: &StepRequest) -> Option<Arc<str>> {
    loop {
        match participants.of(Role::of(request.step)).perform(request).await {
            StepAnswer::Done(performed) => return Some(performed.reference),
            StepAnswer::Failed { .. } | StepAnswer::Unknown { .. } | StepAnswer::Pending { .. } => {
                tokio::task::yield_now().await;
            }
            _ => return None,
        }
    }
}

async fn life(participants: &Participants, order: u32) -> Vec<Option<Arc<str>>> {
    let reserved = perform(participants, &request(order, Step::Reserve, "r", None)).await;
    let authorized = perform(participants, &request(order, Step::Authorize, "a", None)).await;
    let booked = perform(participants, &request(order, Step::Book, "b", None)).await;
    let captured = match &authorized {
        Some(reference) => {
            perform(participants, &request(order, Step::Capture, "c", Some(reference.clone()))).await
        }
        None => None,
    };
    vec![reserved, authorized, booked, captured]
}

fn start(folder: &std::path::Path, rates: FaultRates) -> SimRunning {
    let options = SimOptions { hand_over_permille: 500, ..SimOptions::default() };
    open(folder, &options, rates, 7, Arc::new(Noon), Arc::new(|_| {})).unwrap()
}

#[tokio::test(start_paused = true)]
async fn books_outlive_a_crash_and_nothing_runs_twice() {
    for rates in [FaultRates::NONE, FaultRates::FLAKY] {
        let folder = tempfile::tempdir().unwrap();
        let running = start(folder.path(), rates);
        let mut first = Vec::new();
        for order in 0..60 {
            first.push(life(&running.participants(), order).await);
        }
        running.close().await;
        let before = audit(folder.path()).unwrap();
        let running = start(folder.path(), rates);
        for (order, answers) in (0..60).zip(&first) {
            assert_eq!(life(&running.participants(), order).await, *answers, "order {order}");
        }
        running.close().await;
        let after = audit(folder.path()).unwrap();
        assert_eq!((before.orders, before.entries), (after.orders.clone(), after.entries));
        assert_eq!(after.keys_run_twice, 0);
        assert_eq!(after.violations(), []);
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_damage_before_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FaultRates::NONE);
    life(&running.participants(), 1).await;
    running.close().await;
    let whole = audit(folder.path()).unwrap();
    let path = folder.path().join("payments.book");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"1\tdone\tcapt").unwrap();
    assert_eq!(audit(folder.path()).unwrap(), whole, "an auditor passes over it");
    start(folder.path(), FaultRates::NONE).close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.ends_with(b"\n"), "whoever goes on has cut it");
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = audit(folder.path()).unwrap_err().to_string();
    assert!(error.contains("payments.book") && error.contains("line 1"), "{error}");
}

/// Payments were restored before shipping: what was captured before a crash did not count for its parcel any more.
#[tokio::test]
async fn a_parcel_that_was_paid_before_a_crash_can_still_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let options = SimOptions::default();
        open(folder.path(), &options, FaultRates::NONE, 7, Arc::new(Noon), Arc::new(|_| {})).unwrap()
    };
    let running = start();
    life(&running.participants(), 1).await;
    running.close().await;
    let running = start();
    assert!(running.sim.hand_over(&request(1, Step::Book, "b", None).order), "it is booked and paid");
    running.close().await;
    assert_eq!(audit(folder.path()).unwrap().violations(), []);
}

/// The books of one world after another; a reopened one goes on where its files end.
struct InFiles(Option<(tempfile::TempDir, Arc<ManualClock>)>);

impl InFiles {
    fn world(&mut self, fresh: bool) -> contract::World {
        if fresh {
            self.0 = Some((tempfile::tempdir().unwrap(), ManualClock::new(contract::START)));
        }
        let (folder, clock) = self.0.as_ref().unwrap();
        let (options, rates, clock) = (SimOptions::default(), FaultRates::NONE, clock.clone());
        let running = open(folder.path(), &options, rates, 7, clock.clone(), Arc::new(|_| {})).unwrap();
        contract::World { participants: running.participants(), clock }
    }
}

impl Subject for InFiles {
    type Port = contract::World;

    fn fresh(&mut self) -> PortFuture<'_, contract::World> {
        Box::pin(async { self.world(true) })
    }

    fn reopen(&mut self, before: contract::World) -> PortFuture<'_, contract::World> {
        drop(before);
        Box::pin(async { self.world(false) })
    }
}

#[tokio::test]
async fn books_in_files_keep_the_contract() {
    contract::suite(&mut InFiles(None)).await;
}
