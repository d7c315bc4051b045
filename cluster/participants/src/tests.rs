//! Books over a crash: what was answered is answered again, and nothing runs twice.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId, TimestampMs};
use retailflow_engine::money::Currency;
use retailflow_engine::order::{Line, Placed};
use retailflow_engine::ports::{Clock, KeyStanding, Participants, PortFuture, Role, StepAnswer, StepRequest};
use retailflow_engine::wire::command::Step;
use retailflow_testkit::Subject;
use retailflow_testkit::participants::{self as contract, ManualClock};
use retailflow_testkit::simulated::{FaultRates, SimOptions};

mod broken;

use super::{BookOptions, BookSync, SimulatedParticipants, audit, open, open_on, read_books};
use retailflow_os::files::faulty::{Faults, FaultyFiles};

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
        delivery: 0,
    };
    let placed = Placed::new("c", Currency::parse("USD").unwrap(), 900, [line]);
    let (tenant, id) = (TenantId::parse("t").unwrap(), OrderId::parse(&format!("o{order}")).unwrap());
    StepRequest {
        key: format!("{order}-{key}").into(),
        order: OrderRef { tenant, order: id },
        step,
        reference,
        payment: 0,
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
    let reviewed = perform(participants, &request(order, Step::Review, "v", None)).await;
    let booked = perform(participants, &request(order, Step::Book, "b", None)).await;
    let captured = match &authorized {
        Some(reference) => {
            perform(participants, &request(order, Step::Capture, "c", Some(reference.clone()))).await
        }
        None => None,
    };
    vec![reserved, authorized, booked, captured, reviewed]
}

fn start(folder: &std::path::Path, rates: FaultRates) -> SimulatedParticipants {
    let sim = SimOptions { hand_over_permille: 500, ..SimOptions::default() };
    open(folder, &options(sim, rates), Arc::new(Noon), Arc::new(|_| {})).unwrap()
}

/// Why the book of a role cannot be used.
fn why_not(running: &SimulatedParticipants, role: Role) -> String {
    running.unusable().find(|(of, _)| *of == role).map(|(_, error)| error.to_string()).unwrap()
}

fn options(sim: SimOptions, rates: FaultRates) -> BookOptions {
    BookOptions { sim, rates, seed: 7, sync: BookSync::BeforeAnswer }
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
async fn a_torn_last_line_is_kept_beside_the_book_and_damage_before_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FaultRates::NONE);
    life(&running.participants(), 1).await;
    running.close().await;
    let whole = audit(folder.path()).unwrap();
    let path = folder.path().join("payments.book");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"1\tdone\tcapt").unwrap();
    assert_eq!(audit(folder.path()).unwrap(), whole, "an auditor passes over it");
    let ends = read_books(folder.path(), &mut |_| {}).unwrap();
    assert_eq!(ends[Role::Payments as usize].torn_bytes, 11, "and says so");
    start(folder.path(), FaultRates::NONE).close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.ends_with(b"\n"), "whoever goes on has cut it");
    assert_eq!(std::fs::read(folder.path().join("payments.book.torn-1")).unwrap(), b"1\tdone\tcapt");
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = audit(folder.path()).unwrap_err().to_string();
    assert!(error.contains("payments.book") && error.contains("line 1"), "{error}");
}

/// A book of which nothing can be read was emptied without a word.
#[tokio::test]
async fn a_book_without_a_whole_line_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.book");
    for garbage in [&b"no book at all"[..], &[0; 5000]] {
        std::fs::write(&path, garbage).unwrap();
        let running = start(folder.path(), FaultRates::NONE);
        assert!(why_not(&running, Role::Payments).contains("not one whole line"));
        running.close().await;
        assert_eq!(std::fs::read(&path).unwrap(), garbage);
    }
}

#[tokio::test]
async fn an_older_copy_of_a_book_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.book");
    let running = start(folder.path(), FaultRates::NONE);
    life(&running.participants(), 1).await;
    running.close().await;
    let older = std::fs::read(&path).unwrap();
    let running = start(folder.path(), FaultRates::NONE);
    life(&running.participants(), 2).await;
    running.close().await;
    std::fs::write(&path, &older).unwrap();
    let error = audit(folder.path()).unwrap_err().to_string();
    assert!(error.contains("an older copy"), "{error}");
}

#[tokio::test]
async fn books_are_written_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FaultRates::NONE);
    let options = options(SimOptions::default(), FaultRates::NONE);
    let error = open(folder.path(), &options, Arc::new(Noon), Arc::new(|_| {})).err().unwrap();
    assert!(error.to_string().contains("in use by process"), "{error}");
    running.close().await;
}

/// What was answered was written and not synced: after a power cut it had never been.
#[tokio::test]
async fn what_was_answered_outlives_a_power_cut() {
    let folder = std::path::Path::new("/books");
    for seed in 0..60 {
        let files = FaultyFiles::new(Faults::default());
        let run = |files: &FaultyFiles| {
            let options = options(SimOptions::default(), FaultRates::NONE);
            open_on(files, folder, &options, Arc::new(Noon), Arc::new(|_| {}))
        };
        let running = run(&files).unwrap();
        let participants = running.participants();
        let mut answered = Vec::new();
        for order in 0..3 {
            answered.push(life(&participants, order).await);
        }
        // Some more is asked for, and the power goes before anybody hears of it.
        files.set_faults(|faults| faults.hold_syncs = true);
        let asked: Vec<_> = (3..8)
            .map(|order| {
                let participants = participants.clone();
                tokio::spawn(async move { drop(life(&participants, order).await) })
            })
            .collect();
        let held = files.clone();
        assert!(tokio::task::spawn_blocking(move || held.wait_for_held_sync()).await.unwrap());
        let disk = files.disk().after_power_cut(seed);
        files.set_faults(|faults| faults.hold_syncs = false);
        for task in asked {
            task.await.unwrap();
        }
        drop(participants);
        running.close().await;

        let running = run(&FaultyFiles::on(disk, Faults::default())).unwrap();
        let participants = running.participants();
        for (order, before) in (0..).zip(&answered) {
            let steps = [
                request(order, Step::Reserve, "r", None),
                request(order, Step::Authorize, "a", None),
                request(order, Step::Book, "b", None),
                request(order, Step::Capture, "c", before[1].clone()),
            ];
            for (step, reference) in steps.iter().zip(before) {
                let standing = participants.of(Role::of(step.step)).query(step).await;
                let KeyStanding::Answered(StepAnswer::Done(done)) = standing else {
                    panic!("seed {seed}, order {order}: {:?} was done, and is {standing:?}", step.step)
                };
                assert_eq!(Some(done.reference), *reference);
            }
        }
        // And they go on.
        assert!(life(&participants, 9).await.iter().all(Option::is_some));
    }
}

/// Nobody is told of what may not be there: not by an answer, not by a look, not by the same request again.
#[tokio::test]
async fn after_a_failed_sync_nothing_is_believed() {
    let folder = std::path::Path::new("/books");
    let files = FaultyFiles::new(Faults::default());
    let options = options(SimOptions::default(), FaultRates::NONE);
    let running = open_on(&files, folder, &options, Arc::new(Noon), Arc::new(|_| {})).unwrap();
    let participants = running.participants();
    let next = files.syncs() + 1;
    files.set_faults(|faults| faults.fail_sync = Some(next));
    let asked = request(1, Step::Authorize, "a", None);
    for _ in 0..2 {
        let answer = participants.payments.perform(&asked).await;
        assert!(matches!(answer, StepAnswer::Unknown { .. }), "{answer:?}");
        let standing = participants.payments.query(&asked).await;
        assert!(matches!(standing, KeyStanding::Unknown { .. }), "{standing:?}");
    }
    running.close().await;
}

/// The pages of a failed write-back are still read by the next process: what it answers from them has to be on the disk.
#[tokio::test]
async fn after_a_failed_sync_a_restart_answers_what_outlives_the_next_power_cut() {
    let folder = std::path::Path::new("/books");
    let run = |files: &FaultyFiles| {
        let options = options(SimOptions::default(), FaultRates::NONE);
        open_on(files, folder, &options, Arc::new(Noon), Arc::new(|_| {})).unwrap()
    };
    let files = FaultyFiles::new(Faults::default());
    let running = run(&files);
    let asked = request(1, Step::Authorize, "a", None);
    let next = files.syncs() + 1;
    files.set_faults(|faults| faults.fail_sync = Some(next));
    drop(running.participants().payments.perform(&asked).await);
    running.close().await;
    let files = FaultyFiles::on(files.disk(), Faults::default());
    let running = run(&files);
    let standing = running.participants().payments.query(&asked).await;
    let disk = files.disk();
    running.close().await;
    for seed in 0..6 {
        let running = run(&FaultyFiles::on(disk.after_power_cut(seed), Faults::default()));
        let after = running.participants().payments.query(&asked).await;
        assert_eq!(format!("{after:?}"), format!("{standing:?}"), "seed {seed}");
        running.close().await;
    }
}

/// A book that is gone while its mark is there is no book that was never made.
#[tokio::test]
async fn a_book_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(SimOptions::default(), FaultRates::NONE);
    let start = || open(folder.path(), &options, Arc::new(Noon), Arc::new(|_| {}));
    let running = start().unwrap();
    life(&running.participants(), 1).await;
    running.close().await;
    std::fs::remove_file(folder.path().join("payments.book")).unwrap();
    let running = start().unwrap();
    let (role, error) = running.unusable().next().unwrap();
    assert!(matches!(error, super::book_file::BookFileError::Behind { whole_bytes: 0, .. }), "{error}");
    assert_eq!(role, Role::Payments);
}

/// What was written and not synced may be there in pieces after a power cut, whole lines behind a hole among them.
#[tokio::test]
async fn a_hole_behind_what_was_answered_is_a_torn_end() {
    let folder = std::path::Path::new("/books");
    let run = |files: &FaultyFiles, sync: BookSync| {
        let options = BookOptions { sync, ..options(SimOptions::default(), FaultRates::NONE) };
        open_on(files, folder, &options, Arc::new(Noon), Arc::new(|_| {}))
    };
    let files = FaultyFiles::new(Faults::default());
    let running = run(&files, BookSync::BeforeAnswer).unwrap();
    let answered = request(1, Step::Authorize, "a", None);
    drop(running.participants().payments.perform(&answered).await);
    running.close().await;
    let running = run(&files, BookSync::Never).unwrap();
    for order in 2..40 {
        drop(running.participants().payments.perform(&request(order, Step::Authorize, "a", None)).await);
    }
    let disk = files.disk();
    running.close().await;
    for seed in 0..40 {
        let files = FaultyFiles::on(disk.after_power_cut(seed), Faults::default());
        let running = run(&files, BookSync::BeforeAnswer);
        let running = running.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let standing = running.participants().payments.query(&answered).await;
        assert!(matches!(standing, KeyStanding::Answered(StepAnswer::Done(_))), "seed {seed}: {standing:?}");
        running.close().await;
    }
}

/// Payments were restored before shipping: what was captured before a crash did not count for its parcel any more.
#[tokio::test]
async fn a_parcel_that_was_paid_before_a_crash_can_still_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let options = options(SimOptions::default(), FaultRates::NONE);
        open(folder.path(), &options, Arc::new(Noon), Arc::new(|_| {})).unwrap()
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
        let options = options(SimOptions::default(), FaultRates::NONE);
        let running = open(folder.path(), &options, clock.clone(), Arc::new(|_| {})).unwrap();
        contract::World { participants: running.participants(), clock: clock.clone() }
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
