//! A stop ends within `node.stop_deadline_ms`, whoever of those it needs has gone.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{PARTITIONS, SHARDS};
use crate::support::cli::retailflow;
use crate::support::etcd::{Etcd, etcd_or_skip};
use crate::support::nats::{self, server_or_skip};
use crate::support::poll::wait_for;
use crate::support::server::Server;

const BOUND: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(4);
/// For the process itself to go, on a busy machine.
const GOES_WITHIN: Duration = Duration::from_millis(1_500);

/// Who has gone when the node is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    NatsFrozen,
    NatsKilled,
    EtcdKilled,
    Both,
}

/// It took 41 to 45 s of 20: each part of a stop had a time of its own.
#[test]
fn a_stop_ends_in_its_time_whoever_has_gone() {
    let Some(server) = server_or_skip("a stop without servers") else { return };
    let Some(binary) = etcd_or_skip("a stop without servers") else { return };
    for gone in [Gone::NatsFrozen, Gone::NatsKilled, Gone::EtcdKilled, Gone::Both] {
        let (mut nats, mut etcd) = (nats::Server::with_streams(&server), Etcd::start(&binary));
        let call = retailflow(&["serve", "--node", "n-1", "--participants", "instant"])
            .arg("--nats")
            .arg(nats.url())
            .arg("--etcd")
            .arg(etcd.url());
        let settings = [
            format!("cluster.partitions={PARTITIONS}"),
            format!("cluster.shards={SHARDS}"),
            "nats.replicas=1".into(),
            "cluster.durability=memory".into(),
            "etcd.ttl_ms=3000".into(),
            format!("node.stop_deadline_ms={}", DEADLINE.as_millis()),
        ];
        let node = Server::of(settings.iter().fold(call, |call, setting| call.arg("--set").arg(setting)));
        let mut client = node.client();
        let mut placed = |number: u32| {
            let path = format!("/v1/tenants/shop/orders/o-{number}/commands");
            let body = format!(
                r#"{{"specversion":"1.0","id":"p","source":"/t","type":"retailflow.order.place.v1","tenant":"shop","subject":"o-{number}","data":{{"customer":"c","currency":"USD","lines":[{{"line_id":"1","sku":"a","quantity":1,"amount_minor":100}}]}}}}"#
            );
            client
                .post(&path, &[("content-type", "application/cloudevents+json")], &body)
                .is_ok_and(|answer| answer.status == 200)
        };
        for number in 0..8 {
            wait_for("an order is placed", BOUND, || placed(number).then_some(()));
        }
        match gone {
            Gone::NatsFrozen => nats.signal(Signal::STOP),
            Gone::NatsKilled => nats.kill(),
            Gone::EtcdKilled => etcd.kill(),
            Gone::Both => {
                nats.kill();
                etcd.kill();
            }
        }
        let asked = Instant::now();
        node.terminate();
        let (code, said) = node.ended();
        let took = asked.elapsed();
        assert!(took < DEADLINE + GOES_WITHIN, "{gone:?}: {took:?}\n{said}");
        assert_eq!(code, Some(0), "{gone:?}: {said}");
    }
}
