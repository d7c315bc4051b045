//! What nodes tell each other: tenants' settings, and cursors.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{PortFuture, StoreError, TenantSetting, TenantStatus, Tenants};
use retailflow_nats::{
    ApiFailure, Connections, CursorError, Cursors, DoorStreams, NatsOptions, NatsTenants, SecretError,
    TenantsOptions, token_secret,
};
use retailflow_testkit::Subject;
use retailflow_testkit::tenants::{self, setting};

use crate::doors::{Doors, WITHIN};
use crate::lossy::Proxy;
use crate::nats::{Server, server_or_skip};
use crate::raw::Raw;
use crate::world::options;

/// A node's tenants, over connections of its own.
async fn open(doors: &Doors, look_every_ms: u64) -> NatsTenants {
    let connections = Connections::open(&options(&doors.server)).await.unwrap();
    NatsTenants::open(&connections, &TenantsOptions { look_every_ms }).await.unwrap()
}

/// A node's tenants that hear nothing of others by themselves.
async fn deaf(doors: &Doors) -> NatsTenants {
    open(doors, 3_600_000).await
}

struct Books {
    binary: PathBuf,
    doors: Option<Doors>,
    reopened: usize,
}

impl Subject for Books {
    type Port = tenants::Port;

    fn fresh(&mut self) -> PortFuture<'_, tenants::Port> {
        Box::pin(async move {
            let doors = self.doors.insert(Doors::new(&self.binary, 1).await);
            let port: tenants::Port = Arc::new(open(doors, 20).await);
            port
        })
    }

    fn reopen(&mut self, port: tenants::Port) -> PortFuture<'_, tenants::Port> {
        drop(port);
        Box::pin(async move {
            let doors = self.doors.as_mut().unwrap();
            self.reopened += 1;
            if self.reopened % 2 == 1 {
                doors.server.kill();
                doors.server.run();
            }
            let port: tenants::Port = Arc::new(deaf(doors).await);
            port
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_keep_the_contract() {
    let Some(binary) = server_or_skip("tenants_keep_the_contract") else { return };
    tenants::suite(&mut Books { binary, doors: None, reopened: 0 }).await;
}

/// Waits until a node knows a setting.
async fn knows(node: &NatsTenants, wanted: &TenantSetting) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let known = async {
        while node.get(&wanted.tenant).as_ref() != Some(wanted) {
            look.tick().await;
        }
    };
    tokio::time::timeout(WITHIN, known).await.unwrap();
}

fn assert_told(answer: &Result<(), StoreError>, of: &str) {
    let Err(StoreError::Unavailable(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains(of), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_stands_though_another_node_creates_the_tenant() {
    let name = "a_suspension_stands_though_another_node_creates_the_tenant";
    let Some(binary) = server_or_skip(name) else { return };
    let doors = Doors::new(&binary, 1).await;
    let (operators, late, later) = (deaf(&doors).await, deaf(&doors).await, deaf(&doors).await);
    let suspended = setting("shop", TenantStatus::Suspended, None);
    let created = setting("shop", TenantStatus::Active, None);
    operators.put(suspended.clone()).await.unwrap();
    assert_eq!(late.get(&created.tenant), None, "it has not heard of it");
    assert_told(&late.put(created.clone()).await, "was changed meanwhile");
    for node in [&operators, &late] {
        assert_eq!(node.get(&suspended.tenant), Some(suspended.clone()));
    }
    // What is wanted stands there already.
    assert_eq!(later.put(suspended.clone()).await, Ok(()));
    assert_eq!(deaf(&doors).await.list(), [suspended]);
    // Whoever has seen it may change it.
    late.put(created.clone()).await.unwrap();
    assert_eq!(deaf(&doors).await.list(), [created]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_hears_what_another_one_has_set() {
    let Some(binary) = server_or_skip("a_node_hears_what_another_one_has_set") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let (one, other) = (open(&doors, 20).await, open(&doors, 20).await);
    for limit in 1..20 {
        let changed = setting("shop", TenantStatus::Active, Some(limit));
        one.put(changed.clone()).await.unwrap();
        knows(&other, &changed).await;
        let back = setting("till", TenantStatus::Suspended, Some(limit));
        other.put(back.clone()).await.unwrap();
        knows(&one, &back).await;
        if limit == 10 {
            doors.server.kill();
            doors.server.run();
        }
    }
    for node in [one, other] {
        assert!(node.close(WITHIN).await && node.close(WITHIN).await);
    }
}

/// An answer that is lost is asked for; what was acknowledged is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_while_the_server_is_killed_is_told_truly() {
    let Some(binary) = server_or_skip("what_is_put_while_the_server_is_killed_is_told_truly") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    // The client waits for answers that died with the server.
    let quick = NatsOptions { request_timeout_ms: 1_000, ..options(&doors.server) };
    let connections = Connections::open(&quick).await.unwrap();
    let node = NatsTenants::open(&connections, &TenantsOptions { look_every_ms: 50 }).await.unwrap();
    let node = Arc::new(node);
    for limit in 0..6 {
        let wanted = setting("shop", TenantStatus::Active, Some(limit));
        let putting = tokio::spawn({
            let (node, wanted) = (node.clone(), wanted.clone());
            async move {
                let mut again = tokio::time::interval(Duration::from_millis(5));
                while let Err(error) = node.put(wanted.clone()).await {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                    again.tick().await;
                }
            }
        });
        tokio::task::yield_now().await;
        doors.server.kill();
        doors.server.run();
        tokio::time::timeout(WITHIN * 3, putting).await.unwrap().unwrap();
        assert_eq!(node.get(&wanted.tenant), Some(wanted.clone()));
        assert_eq!(deaf(&doors).await.list(), [wanted]);
    }
}

/// The setting is stored and the word of it is lost: it is read back before anything is said, and said as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_is_asked_for() {
    let Some(binary) = server_or_skip("an_answer_that_was_lost_is_asked_for") else { return };
    let doors = Doors::new(&binary, 1).await;
    let (raw, proxy) = (Raw::connect(&doors.server).await, Proxy::before(&doors.server));
    let through =
        NatsOptions { servers: vec![proxy.url()], request_timeout_ms: 2_000, ..options(&doors.server) };
    let connections = Connections::open(&through).await.unwrap();
    let node = NatsTenants::open(&connections, &TenantsOptions { look_every_ms: 3_600_000 }).await.unwrap();
    let node = Arc::new(node);
    let wanted = setting("shop", TenantStatus::Suspended, Some(7));
    proxy.lose_answers();
    let putting = tokio::spawn({
        let (node, wanted) = (node.clone(), wanted.clone());
        async move { node.put(wanted).await }
    });
    let mut look = tokio::time::interval(Duration::from_millis(2));
    while raw.state("RF_META").await["messages"] == 0 {
        look.tick().await;
    }
    assert_eq!(node.get(&wanted.tenant), None, "nobody has said so yet");
    proxy.heal();
    assert_eq!(putting.await.unwrap(), Ok(()));
    assert_eq!(node.list(), std::slice::from_ref(&wanted));
    // Asked in the dark, nobody can tell.
    proxy.lose_answers();
    let changed = setting("shop", TenantStatus::Active, None);
    assert!(matches!(node.put(changed.clone()).await, Err(StoreError::Unavailable(_))));
    proxy.heal();
    // It stands there, though the node does not know: putting it again finds it.
    assert_eq!(node.put(changed.clone()).await, Ok(()));
    assert_eq!((node.list(), raw.state("RF_META").await["last_seq"].as_u64()), (vec![changed], Some(2)));
}

/// One setting that cannot be read stops that tenant alone, and is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_read_is_not_put_over() {
    let Some(binary) = server_or_skip("a_setting_that_cannot_be_read_is_not_put_over") else { return };
    let doors = Doors::new(&binary, 1).await;
    let raw = Raw::connect(&doors.server).await;
    let early = deaf(&doors).await;
    raw.store("rf.meta.tenant.shop", b"strange".to_vec()).await;
    let nodes = [early, deaf(&doors).await];
    for (node, limit) in nodes.iter().zip(1..) {
        for _ in 0..2 {
            let refused = node.put(setting("shop", TenantStatus::Active, None)).await;
            assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
            assert_eq!(node.get(&setting("shop", TenantStatus::Active, None).tenant), None);
        }
        node.put(setting(&format!("till-{limit}"), TenantStatus::Active, None)).await.unwrap();
    }
    // An operator takes it away.
    raw.must("STREAM.PURGE.RF_META", &serde_json::json!({ "filter": "rf.meta.tenant.shop" })).await;
    assert_told(&nodes[0].put(setting("shop", TenantStatus::Active, None)).await, "could not be read");
    nodes[0].put(setting("shop", TenantStatus::Active, Some(1))).await.unwrap();
    assert_eq!(deaf(&doors).await.list().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_the_last_one_written() {
    let Some(binary) = server_or_skip("a_cursor_is_the_last_one_written") else { return };
    let mut doors = Doors::new(&binary, 1).await;
    let cursors = Cursors::new(&doors.connections, [1; 16]);
    assert_eq!(cursors.read("events", PartitionId(3)).await, Ok(0));
    for position in [7, 9, u64::MAX, 8] {
        cursors.write("events", PartitionId(3), position).await.unwrap();
        assert_eq!(cursors.read("events", PartitionId(3)).await, Ok(position));
    }
    cursors.write("events", PartitionId(4), 1).await.unwrap();
    doors.server.kill();
    doors.server.run();
    let connections = Connections::open(&options(&doors.server)).await.unwrap();
    assert_eq!(Cursors::new(&connections, [1; 16]).read("events", PartitionId(3)).await, Ok(8));
    let raw = Raw::connect(&doors.server).await;
    assert_eq!(raw.state("RF_META").await["messages"], 2, "only the newest stay");

    let other = Cursors::new(&connections, [2; 16]);
    let refused = other.read("events", PartitionId(3)).await;
    assert!(matches!(refused, Err(CursorError::OtherLog { .. })), "{refused:?}");
    raw.store("rf.meta.cursor.events.4", b"strange".to_vec()).await;
    let refused = other.read("events", PartitionId(4)).await;
    assert!(matches!(refused, Err(CursorError::Api(ApiFailure::Damaged(_)))), "{refused:?}");
    assert!(matches!(other.write("a.b", PartitionId(4), 1).await, Err(CursorError::Name(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_find_one_secret_whoever_is_first() {
    let Some(binary) = server_or_skip("all_nodes_find_one_secret_whoever_is_first") else { return };
    let doors = Doors::new(&binary, 1).await;
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let connections = doors.connections.clone();
            tokio::spawn(async move { token_secret(&connections).await.unwrap() })
        })
        .collect();
    let mut found = BTreeSet::new();
    for asked in asked {
        found.insert(asked.await.unwrap());
    }
    assert_eq!(found.len(), 1);
    let raw = Raw::connect(&doors.server).await;
    for strange in [&b""[..], &[2; 33], &[1; 32], &[1; 34]] {
        raw.store("rf.meta.secret.tokens", strange.to_vec()).await;
        assert!(matches!(token_secret(&doors.connections).await, Err(SecretError::Strange)), "{strange:?}");
    }
}

/// Three copies refuse no newer message either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_takes_the_older_ones_place_on_three_servers() {
    let Some(binary) = server_or_skip("the_newest_takes_the_older_ones_place_on_three_servers") else {
        return;
    };
    let servers = Server::cluster(&binary, 3);
    let options =
        NatsOptions { servers: servers.iter().map(Server::url).collect(), ..NatsOptions::default() };
    let connections = Connections::open(&options).await.unwrap();
    let streams = DoorStreams { partitions: 1, replicas: 3, commands_max_bytes: None };
    let begun = Instant::now();
    while let Err(error) = streams.provision(&connections).await {
        assert!(begun.elapsed() < WITHIN * 3, "{error}");
    }
    assert_eq!(streams.provision(&connections).await, Ok(vec![]));
    let tenants = NatsTenants::open(&connections, &TenantsOptions::default()).await.unwrap();
    let cursors = Cursors::new(&connections, [1; 16]);
    for limit in 1..20 {
        cursors.write("events", PartitionId(0), u64::from(limit)).await.unwrap();
        tenants.put(setting("shop", TenantStatus::Active, Some(limit))).await.unwrap();
    }
    assert_eq!(cursors.read("events", PartitionId(0)).await, Ok(19));
    let again = NatsTenants::open(&connections, &TenantsOptions::default()).await.unwrap();
    assert_eq!(again.list(), [setting("shop", TenantStatus::Active, Some(19))]);
    assert_eq!(Raw::connect(&servers[1]).await.state("RF_META").await["messages"], 2);
}
