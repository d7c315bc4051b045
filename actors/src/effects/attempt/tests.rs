//! How often a participant is called that never says that it did anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use retailflow_config::Config;
use retailflow_engine::ids::TimestampMs;
use retailflow_engine::memory::MemoryLog;
use retailflow_engine::ports::{
    KeyStanding, LogIdentity, Participant, PortFuture, Settlement, StepAnswer, StepRequest,
};
use retailflow_engine::wire::Code;
use retailflow_testkit::author::{order, place};

use crate::batch_node::BatchNode;
use crate::world::Settings;

/// Nothing that it is asked for is done, and that is all that it says when it is asked to settle.
#[derive(Default)]
struct Silent {
    /// Calls by the key that they were made under.
    calls: Mutex<BTreeMap<Arc<str>, u32>>,
}

impl Participant for Silent {
    fn perform<'a>(&'a self, request: &'a StepRequest) -> PortFuture<'a, StepAnswer> {
        *self.calls.lock().entry(request.key.clone()).or_default() += 1;
        Box::pin(async { StepAnswer::Unknown { reason: "nobody knows".into() } })
    }

    fn query<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, KeyStanding> {
        Box::pin(async { KeyStanding::NotSeen })
    }

    fn settle<'a>(&'a self, _request: &'a StepRequest) -> PortFuture<'a, Settlement> {
        Box::pin(async { Settlement::NotDone })
    }
}

/// One setting meant both: six calls under one key, and six keys.
#[tokio::test(start_paused = true)]
async fn calls_under_one_key_and_keys_of_a_step_are_bounded_apart() {
    for (calls_max, keys_max) in [(3, 6), (2, 5), (1, 3), (5, 1)] {
        let mut config = Config::default();
        (config.effects.call_attempts_max, config.effects.step_attempts_max) = (calls_max, keys_max);
        // Its breaker would only make it slower.
        config.effects.breaker_failures = 100_000;
        let (cluster, created) = ("test".into(), TimestampMs(0));
        let identity = LogIdentity { log_id: [1; 16], cluster, partitions: 1, shards: 1, created };
        let (log, silent) = (Arc::new(MemoryLog::new(identity)), Arc::new(Silent::default()));
        let node = BatchNode::of(Settings::new(config, "test"), log.clone(), log, silent.clone()).await.node;
        assert_eq!(node.ask(place(&order("shop", "o-1"), "p")).await.code, Code::Applied);
        // The first step never succeeds: the order is undone, and there is nothing to undo.
        tokio::time::timeout(Duration::from_secs(600), node.wait_orders_ended(1)).await.unwrap();
        let calls = silent.calls.lock().clone();
        assert_eq!(calls.len(), keys_max as usize, "{calls:?}");
        assert!(calls.values().all(|calls| *calls == calls_max), "{calls:?}");
        node.kill().await;
    }
    let effects = Config::default().effects;
    let most = effects.call_attempts_max * effects.step_attempts_max;
    assert!((12..=20).contains(&most), "a participant in trouble is called {most} times for one step");
}
