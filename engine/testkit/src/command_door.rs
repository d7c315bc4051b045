//! The suite of [`CommandDoor`].

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Subject;
use crate::author::{order, place};
use retailflow_engine::codec::v1::{self, BodyV1};
use retailflow_engine::ids::OrderRef;
use retailflow_engine::order::Actor;
use retailflow_engine::ports::{CommandDoor, EventLog};
use retailflow_engine::wire::command::CancelData;
use retailflow_engine::wire::{Code, CommandData, CommandEvent, Outcome, Status};

/// The door, and the log that its commands end in.
pub struct DoorWithLog {
    /// Where commands go in.
    pub door: Arc<dyn CommandDoor>,
    /// Where they are recorded.
    pub log: Arc<dyn EventLog>,
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs every check. On a runtime of one thread, or "at once" means nothing.
pub async fn suite<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    every_command_has_an_outcome(subject).await;
    recorded_is_durable_when_it_is_said(subject).await;
    the_same_id_has_the_first_outcome(subject).await;
    what_has_not_begun_in_time_is_not_begun(subject).await;
    a_dropped_wait_undoes_nothing(subject).await;
}

fn placed(order: &OrderRef, id: &str) -> CommandEvent {
    let command = place(order, id);
    CommandEvent::new(command.order, command.key, (*command.data).clone())
}

fn cancel(order: &OrderRef, id: &str) -> CommandEvent {
    let data = CancelData { reason: "no".into(), lines: Vec::new(), expected_version: None };
    CommandEvent { data: CommandData::Cancel(data), ..placed(order, id) }
}

async fn ask(port: &DoorWithLog, command: &CommandEvent) -> Outcome {
    port.door.ask(command.clone(), Actor::Tenant, PATIENCE).await
}

/// The ids that the log holds of an order, each as often as it was decided.
async fn recorded(port: &DoorWithLog, order: &OrderRef) -> Vec<String> {
    let mut ids = Vec::new();
    for stored in port.log.read_order(order, 0).await.unwrap() {
        let BodyV1::Decisions(decisions) = v1::decode(&stored.bytes).unwrap().body else { continue };
        ids.extend(decisions.into_iter().map(|decision| decision.id));
    }
    ids
}

/// "`ask` MUST give an outcome for every command": what is applied, what is rejected, what is refused.
pub async fn every_command_has_an_outcome<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    let port = subject.fresh().await;
    let (known, unknown) = (order("shop", "o-1"), order("shop", "o-2"));
    let applied = ask(&port, &placed(&known, "p")).await;
    assert_eq!((applied.status, applied.code), (Status::Applied, Code::Applied));
    assert_eq!((applied.tenant, applied.order), (Some(known.tenant.clone()), Some(known.order.clone())));
    let rejected = ask(&port, &placed(&known, "q")).await;
    assert_eq!((rejected.status, rejected.code), (Status::Rejected, Code::OrderExists));
    let refused = ask(&port, &cancel(&unknown, "x")).await;
    assert_eq!((refused.status, refused.code), (Status::Refused, Code::OrderNotFound));
    assert_eq!(recorded(&port, &unknown).await, Vec::<String>::new(), "refused is not recorded");
}

/// "An outcome that says 'recorded' only when the record is durable": the log shows it when the answer is there.
pub async fn recorded_is_durable_when_it_is_said<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    let port = subject.fresh().await;
    for number in 0..20 {
        let order = order("shop", &format!("o-{number}"));
        for command in [placed(&order, "p"), placed(&order, "q")] {
            let outcome = ask(&port, &command).await;
            assert!(matches!(outcome.status, Status::Applied | Status::Rejected), "{outcome:?}");
            let id = command.key.id.as_str().to_owned();
            assert!(recorded(&port, &order).await.contains(&id), "{order}: {id}");
        }
    }
}

/// "The same id asked again gives the first outcome", an application or a rejection, and records nothing more.
pub async fn the_same_id_has_the_first_outcome<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    let port = subject.fresh().await;
    let order = order("shop", "o-1");
    for id in ["p", "q"] {
        let first = ask(&port, &placed(&order, id)).await;
        let again = ask(&port, &placed(&order, id)).await;
        assert!(!first.replayed && again.replayed);
        assert_eq!(Outcome { replayed: false, ..again }, Outcome { replayed: false, ..first });
    }
    assert_eq!(recorded(&port, &order).await, ["p", "q"]);
}

/// "A command that has not begun to be decided when `deadline` has passed MUST NOT be begun", and its outcome is unknown
/// to the caller; the same id is new when it comes again.
pub async fn what_has_not_begun_in_time_is_not_begun<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    let port = subject.fresh().await;
    for number in 0..20 {
        let order = order("shop", &format!("o-{number}"));
        let late = port.door.ask(placed(&order, "p"), Actor::Tenant, Duration::ZERO).await;
        assert_eq!((late.status, late.code), (Status::Refused, Code::OutcomeUnknown));
        assert_eq!(late.order.as_ref(), Some(&order.order), "it says which command is meant");
        // What comes after it is decided: so it has been passed over.
        let after = ask(&port, &placed(&order, "q")).await;
        assert_eq!((after.code, after.replayed), (Code::Applied, false));
        assert_eq!(recorded(&port, &order).await, ["q"]);
        let again = ask(&port, &placed(&order, "p")).await;
        assert_eq!((again.code, again.replayed), (Code::OrderExists, false));
    }
}

/// "Dropping the future MUST NOT undo, lose or half-do anything": wherever it is dropped, the id asked again has one
/// outcome and one record.
pub async fn a_dropped_wait_undoes_nothing<S: Subject<Port = DoorWithLog>>(subject: &mut S) {
    let port = subject.fresh().await;
    for polls in 0..40 {
        let order = order("shop", &format!("o-{polls}"));
        let mut asked = port.door.ask(placed(&order, "p"), Actor::Tenant, PATIENCE);
        for _ in 0..polls {
            if let Poll::Ready(outcome) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                assert_eq!(outcome.code, Code::Applied);
                break;
            }
            yield_once().await;
        }
        drop(asked);
        let again = ask(&port, &placed(&order, "p")).await;
        assert_eq!(again.code, Code::Applied, "dropped after {polls} polls");
        assert_eq!(recorded(&port, &order).await, ["p"], "dropped after {polls} polls");
    }
}

/// Lets others run once, on any runtime.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
