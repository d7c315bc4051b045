//! Whoever was cut off from etcd, and whoever's etcd was wiped, frozen or emptied, comes back by itself.

use std::time::Duration;

use retailflow_etcd::Membership;
use tokio::time::{interval, timeout};

use crate::etcd::{Etcd, etcd_or_skip};
use crate::members::{Node, PARTITIONS, PATIENCE, TTL_MS, shared_out, started};
use crate::proxy::Proxy;

const TTL: Duration = Duration::from_millis(TTL_MS);

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let mut look = interval(Duration::from_millis(20));
    let reached = async {
        while !is() {
            look.tick().await;
        }
    };
    assert!(timeout(PATIENCE, reached).await.is_ok(), "not within {PATIENCE:?}: {what}");
}

fn lost_for(node: &Node) -> Duration {
    node.ownership.membership().session_lost_for.unwrap_or_default()
}

/// Has its session, stands among the nodes, and is to run what it runs.
fn is_well(node: &Node) -> bool {
    let Membership { session_lost_for, unlisted_for, why, placed_for } = node.ownership.membership();
    let placed: Vec<_> = placed_for.into_keys().collect();
    let runs: Vec<_> = node.runs().into_iter().collect();
    session_lost_for.is_none() && unlisted_for.is_none() && why.is_none() && placed == runs
}

/// All have a session, and every partition one owner.
async fn all_well(nodes: &[&Node]) {
    until("each node has a session again", || {
        nodes.iter().all(|node| node.ownership.membership().session_lost_for.is_none())
    })
    .await;
    shared_out(nodes).await;
    until("each node is well", || nodes.iter().all(|node| is_well(node))).await;
}

/// Its lease had ended, etcd said "lease not found" on each new stream, and it went on asking for ever: no node of its name came back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_cut_off_for_two_ttls_comes_back() {
    let Some(etcd) = started("a_node_that_was_cut_off_for_two_ttls_comes_back", etcd_or_skip) else { return };
    let proxy = Proxy::start(&etcd.address()).await;
    let cut_off = Node::join_at(format!("http://{}", proxy.address()), "n-1");
    let other = Node::join_at(etcd.url(), "n-2");
    all_well(&[&cut_off, &other]).await;
    let before = cut_off.runs();
    proxy.cut();
    until("two times to live are over", || lost_for(&cut_off) > TTL * 2).await;
    until("the other one has all", || other.runs().len() == usize::from(PARTITIONS)).await;
    assert!(cut_off.ownership.membership().why.is_some(), "it says what is in the way");
    assert_eq!(cut_off.runs(), before, "nothing is taken away by silence: the fence decides");
    proxy.restore();
    all_well(&[&cut_off, &other]).await;
    // And it takes over from one that dies now.
    other.leave().await;
    all_well(&[&cut_off]).await;
    cut_off.leave().await;
}

/// A new etcd on the same port knows no lease, and counts from below the revisions that were waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_etcd_was_wiped_each_node_enters_itself_again() {
    let Some(mut etcd) = started("when_etcd_was_wiped_each_node_enters_itself_again", etcd_or_skip) else {
        return;
    };
    let nodes = ["n-1", "n-2", "n-3"].map(|name| Node::join_at(etcd.url(), name));
    let nodes = nodes.each_ref();
    all_well(&nodes).await;
    for _ in 0..2 {
        let before = nodes.map(Node::runs);
        etcd.kill();
        etcd.wipe();
        etcd.run();
        all_well(&nodes).await;
        let kept = nodes.iter().zip(&before).map(|(node, before)| node.runs().intersection(before).count());
        println!("of {PARTITIONS} partitions {} stayed where they were", kept.sum::<usize>());
    }
}

/// As `etcdctl del --prefix /retailflow` does: leases stand, and nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_keys_were_deleted_each_node_enters_itself_again() {
    let Some(etcd) = started("when_all_keys_were_deleted", etcd_or_skip) else { return };
    let (one, two) = (Node::join_at(etcd.url(), "n-1"), Node::join_at(etcd.url(), "n-2"));
    all_well(&[&one, &two]).await;
    for _ in 0..3 {
        delete_all(&etcd).await;
        all_well(&[&one, &two]).await;
    }
    one.leave().await;
    two.leave().await;
}

async fn delete_all(etcd: &Etcd) {
    let mut client = etcd_client::Client::connect([etcd.url()], None).await.unwrap();
    let prefix = etcd_client::DeleteOptions::new().with_prefix();
    assert!(client.delete("/retailflow/", Some(prefix)).await.unwrap().deleted() > 0);
}

/// As an operator's `etcdctl lease revoke` does, or etcd's own mistake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_leases_were_revoked_new_sessions_begin() {
    let Some(etcd) = started("when_leases_were_revoked_new_sessions_begin", etcd_or_skip) else { return };
    let (one, two) = (Node::join_at(etcd.url(), "n-1"), Node::join_at(etcd.url(), "n-2"));
    all_well(&[&one, &two]).await;
    let mut client = etcd_client::Client::connect([etcd.url()], None).await.unwrap();
    let leases = client.leases().await.unwrap();
    assert_eq!(leases.leases().len(), 2);
    for lease in leases.leases() {
        client.lease_revoke(lease.id()).await.unwrap();
    }
    all_well(&[&one, &two]).await;
    one.leave().await;
    two.leave().await;
}

/// A frozen etcd answers nothing, and then, all at once, that every lease has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_was_frozen_for_longer_than_leases_live_ends_no_node() {
    let Some(etcd) = started("an_etcd_that_was_frozen", etcd_or_skip) else { return };
    let (one, two) = (Node::join_at(etcd.url(), "n-1"), Node::join_at(etcd.url(), "n-2"));
    all_well(&[&one, &two]).await;
    etcd.freeze();
    until("two times to live are over", || lost_for(&one) > TTL * 2 && lost_for(&two) > TTL * 2).await;
    etcd.thaw();
    all_well(&[&one, &two]).await;
    one.leave().await;
    two.leave().await;
}

/// The history before was dropped: a watch that wanted to go on from there is told so, and all is read anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_was_compacted_while_a_node_was_away_is_read_anew() {
    let Some(etcd) = started("a_history_that_was_compacted", etcd_or_skip) else { return };
    let proxy = Proxy::start(&etcd.address()).await;
    let away = Node::join_at(format!("http://{}", proxy.address()), "n-1");
    let other = Node::join_at(etcd.url(), "n-2");
    all_well(&[&away, &other]).await;
    proxy.cut();
    until("the other one has all", || other.runs().len() == usize::from(PARTITIONS)).await;
    let mut client = etcd_client::Client::connect([etcd.url()], None).await.unwrap();
    let revision = client.get("x", None).await.unwrap().header().unwrap().revision();
    client.compact(revision, None).await.unwrap();
    proxy.restore();
    all_well(&[&away, &other]).await;
    away.leave().await;
    other.leave().await;
}
