//! What an order does when something goes wrong with a record of its own.

use std::sync::Arc;
use std::time::Duration;

use retailflow_config::Config;
use retailflow_engine::ids::{CommandId, CommandKey, OrderRef, Source, TimestampMs};
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::order::{Actor as By, Command};
use retailflow_engine::ports::{
    KeyStanding, LogIdentity, Participant, Performed, PortFuture, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::{Code, CommandData, CommandEvent};
use retailflow_testkit::author::{CONTEXT, order};
use serde_json::json;
use tokio::task::JoinSet;

use crate::batch_node::BatchNode;
use crate::world::Settings;

/// It does whatever it is asked for.
struct Willing;

impl Willing {
    fn done(request: &StepRequest) -> Performed {
        Performed { reference: request.key.clone(), amount_minor: None, expires: None, units: None }
    }
}

impl Participant for Willing {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        Box::pin(async { StepAnswer::Done(Self::done(request)) })
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async { KeyStanding::NotSeen })
    }

    fn settle<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async { Settlement::Done(Self::done(request)) })
    }
}

fn command(order: &OrderRef, id: u32, data: CommandData) -> Command {
    let key = CommandKey {
        source: Source::parse("/test").unwrap(),
        id: CommandId::parse(&format!("c{id}")).unwrap(),
    };
    let event = CommandEvent::new(order.clone(), key, data);
    Command { time: Some(CONTEXT.now), ..Command::from_event(event, By::Tenant) }
}

/// Returns of a thousand lines each: each fits into a record, fifty of them do not. They were all refused as too large, and
/// what the engine itself had decided with them was lost.
#[tokio::test(start_paused = true)]
async fn a_record_that_comes_out_too_large_is_taken_apart() {
    let lines = 1000;
    let line = |number: u32| format!("{number:0>128}");
    let mut config = Config::default();
    config.orders.record_max_bytes = 16 << 20;
    let identity = LogIdentity {
        log_id: [1; 16],
        cluster: "test".into(),
        partitions: 1,
        shards: 1,
        created: TimestampMs(0),
    };
    let log = Arc::new(MemoryLog::new(identity));
    let node = BatchNode::of(Settings::new(config, "test"), log.clone(), log, Arc::new(Willing)).await.node;
    let order = order("shop", "large");
    let placed: Vec<_> = (0..lines)
        .map(|number| json!({ "line_id": line(number), "sku": "s", "quantity": 100, "amount_minor": 0 }))
        .collect();
    let data = json!({ "customer": "c", "currency": "EUR", "lines": placed });
    let place = CommandData::Place(serde_json::from_value(data).unwrap());
    assert_eq!(node.ask(command(&order, 0, place)).await.code, Code::Applied);
    tokio::time::timeout(Duration::from_secs(60), node.wait_orders_ended(1)).await.unwrap();

    let returned: Vec<_> =
        (0..lines).map(|number| json!({ "line_id": line(number), "quantity": 1 })).collect();
    let mut asked = JoinSet::new();
    for id in 1..=50 {
        let data = json!({ "lines": returned, "reason": "too many" });
        let data = CommandData::Return(serde_json::from_value(data).unwrap());
        let (node, command) = (node.clone(), command(&order, id, data));
        asked.spawn(async move { node.ask(command).await });
    }
    while let Some(outcome) = asked.join_next().await {
        let outcome = outcome.unwrap();
        assert_eq!(outcome.code, Code::Applied, "{outcome:?}");
    }
    // Each is carried out: no step's outcome was lost with a record that could not be written.
    let open = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while node.has_open_orders().await != Some(false) {
            pace.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), open).await.unwrap();
    node.kill().await;
}
