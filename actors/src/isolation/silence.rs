//! A participant that answers nobody keeps no new order out; nor does a tenant that places more than can be driven, but its own.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{
    KeyStanding, Participant, Performed, PortFuture, Role, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::Code;
use retailflow_testkit::author::place;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::{SickLog, orders_of};
use crate::batch_node::BatchNode;
use crate::world::Settings;

/// Does all at once, but takes payments only when it is let.
struct Silent(watch::Receiver<bool>);

impl Silent {
    async fn speaks(&self, request: &StepRequest) {
        if Role::of(request.step) == Role::Payments {
            // Whoever left it silent has gone, and waits for nothing any more.
            let _ = self.0.clone().wait_for(|silent| !silent).await;
        }
    }
}

impl Participant for Silent {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            self.speaks(request).await;
            let reference = request.key.clone();
            StepAnswer::Done(Performed { reference, amount_minor: None, expires: None, units: None })
        })
    }

    fn query<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async move {
            self.speaks(request).await;
            KeyStanding::NotSeen
        })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async move {
            self.speaks(request).await;
            Settlement::NotDone
        })
    }
}

/// Far more orders than may wait for their first attempt, and more than may be in memory: none is refused, for a minute, and all
/// come to their end when the participant is back. All were refused from the 17th on.
#[tokio::test(start_paused = true)]
async fn a_participant_that_answers_nobody_keeps_no_new_order_out() {
    let log = SickLog::new();
    let mut config = Config::default();
    config.effects.backlog_max = 16;
    config.effects.participant_in_flight_max = 8;
    config.effects.step_attempts_max = 1_000;
    config.orders.live_max = 100;
    let (told, silent) = watch::channel(true);
    let settings = Settings::new(config, "test");
    let batch = BatchNode::of(settings, log.inner.clone(), log.inner.clone(), Arc::new(Silent(silent))).await;
    let node = batch.node;
    let mut pace = interval(Duration::from_millis(100));
    let mut placed = 0;
    for partition in 0..super::PARTITIONS {
        for order in orders_of("shop", PartitionId(partition), "o", 150) {
            pace.tick().await;
            let outcome = node.ask(place(&order, "p")).await;
            assert_eq!(outcome.code, Code::Applied, "{order}, after {placed} others: {outcome:?}");
            placed += 1;
        }
    }
    assert_eq!(node.unavailable_participants(), [Role::Payments]);
    told.send_replace(false);
    let all = tokio::time::timeout(Duration::from_secs(120), node.wait_orders_ended(placed)).await;
    all.expect("all come to their end");
    assert_eq!(node.unavailable_participants(), []);
    assert!(node.stop(Duration::from_secs(5)).await.drained);
}

/// Takes its time for each call.
struct Slow;

impl Slow {
    async fn work(&self) {
        sleep(Duration::from_millis(10)).await;
    }
}

impl Participant for Slow {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async move {
            self.work().await;
            let reference = request.key.clone();
            StepAnswer::Done(Performed { reference, amount_minor: None, expires: None, units: None })
        })
    }

    fn query<'a>(&'a self, _: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(std::future::ready(KeyStanding::NotSeen))
    }

    fn settle<'a>(&'a self, _: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(std::future::ready(Settlement::NotDone))
    }
}

/// One tenant places far more than can be driven. It is refused; another one, which places a few, never is. Both were.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_places_more_than_can_be_driven_keeps_no_others_out() {
    let log = SickLog::new();
    let mut config = Config::default();
    config.effects.backlog_max = 256;
    config.effects.participant_in_flight_max = 8;
    let settings = Settings::new(config, "test");
    let node = BatchNode::of(settings, log.inner.clone(), log.inner.clone(), Arc::new(Slow)).await.node;
    let (end, mut flood) = (Instant::now() + Duration::from_secs(10), JoinSet::new());
    for caller in 0..32 {
        let node = node.clone();
        let orders = orders_of("flood", PartitionId(caller % super::PARTITIONS), &format!("f{caller}"), 700);
        flood.spawn(async move {
            let mut refused = 0;
            for order in orders {
                if Instant::now() >= end {
                    break;
                }
                match node.ask(place(&order, "p")).await.code {
                    Code::Applied => {}
                    _ => refused += 1,
                }
                // 2,000 a second, and 400 can be driven.
                sleep(Duration::from_millis(16)).await;
            }
            refused
        });
    }
    let mut pace = interval(Duration::from_millis(200));
    for order in orders_of("shop", PartitionId(1), "o", 40) {
        pace.tick().await;
        assert_eq!(node.ask(place(&order, "p")).await.code, Code::Applied, "{order}");
    }
    let refused: usize = flood.join_all().await.into_iter().sum();
    assert!(refused > 100, "the flood was refused {refused} times only");
    node.kill().await;
}

/// Nearly all orders in memory are at work when many more come: those of four tenants at once. No more stay than may, once they
/// have waited a second for a place, and none of the requests to leave is lost.
#[tokio::test(start_paused = true)]
async fn orders_that_wait_for_a_silent_participant_leave_memory() {
    let log = SickLog::new();
    let mut config = Config::default();
    config.effects.participant_in_flight_max = 8;
    config.effects.step_attempts_max = 1_000;
    config.orders.live_max = 100;
    let (_told, silent) = watch::channel(true);
    let settings = Settings::new(config, "test");
    let batch = BatchNode::of(settings, log.inner.clone(), log.inner.clone(), Arc::new(Silent(silent))).await;
    let node = batch.node;
    let mut pace = interval(Duration::from_millis(1_000));
    for round in 0..10 {
        pace.tick().await;
        let mut all = JoinSet::new();
        for tenant in ["shop", "till", "market", "fair"] {
            for order in orders_of(tenant, PartitionId(1), &format!("r{round}"), 50) {
                let node = node.clone();
                all.spawn(async move { node.ask(place(&order, "p")).await.code });
            }
        }
        assert!(all.join_all().await.into_iter().all(|code| code == Code::Applied));
    }
    sleep(Duration::from_secs(15)).await;
    // 2,000 orders wait for payments.
    let live = node.live_orders();
    assert!(live <= 200, "{live} orders are in memory where 100 may be");
    node.kill().await;
}
