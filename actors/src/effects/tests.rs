//! Effects that begin when they can't.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use retailflow_engine::fulfillment::{Effect, next};
use retailflow_engine::order::{Aggregate, Draft};
use retailflow_testkit::author::{CONTEXT, order, place};

use super::Effects;
use crate::batch_node::BatchNode;
use crate::messages::OrderMsg;
use crate::world::Settings;

/// Hears nothing.
struct Deaf;

impl Actor for Deaf {
    type Msg = OrderMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<OrderMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Drives an effect when it is dropped.
struct Last {
    effects: Arc<Effects>,
    effect: Effect,
    order: ActorRef<OrderMsg>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.effects.drive(self.effect.clone(), &self.order);
    }
}

/// A runtime that closes drops what is spawned on it at once, and the guard of that takes the list's lock: begun under that
/// lock, it waited for itself for ever (`serve` on a port in use, with open orders).
#[test]
fn an_effect_that_begins_on_a_runtime_that_closes_waits_for_nobody() {
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let node = BatchNode::start(None).await.node;
            let reference = order("shop", "o-1");
            let empty = Aggregate::new(reference.clone());
            let mut draft = Draft::new(&empty);
            draft.decide(&empty, &place(&reference, "p"), &CONTEXT, true);
            let sealed = draft.seal(&empty).unwrap();
            let effect = next(&reference, sealed.tentative()).unwrap();
            let orders = &node.shared.orders;
            let effects = Arc::new(Effects::new(
                orders.ports.clone(),
                Arc::new(Settings { drives_effects: true, ..(*orders.settings).clone() }),
                node.shared.routes.clone(),
                orders.metrics.clone(),
            ));
            let (order, _) = Actor::spawn(None, Deaf, ()).await.unwrap();
            let last = Last { effects, effect, order };
            tokio::spawn(async move {
                let _last = last;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        });
        drop(runtime);
        ended.send(()).unwrap();
    });
    has_ended.recv_timeout(Duration::from_secs(20)).expect("it waits for itself");
}
