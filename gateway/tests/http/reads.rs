//! Orders, histories, lists, probes, and paths that lead nowhere.

use std::sync::Arc;

use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::{OrderCounts, OrderPage, OrderQuery, PortFuture, ViewError, Views};
use retailflow_engine::wire::order::{Attention, HistoryPage, OrderStatus, OrderView};
use retailflow_engine::wire::order_list::OrderList;
use retailflow_gateway::{Options, Server};

use crate::world::{Behind, COMMANDS, Client, JSON, PLACE, TYPE, World, behind, local};

#[tokio::test]
async fn an_order_as_it_stands() {
    let world = World::new().await;
    let reply = world.get("/v1/tenants/shop/orders/o-1").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let view: OrderView = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(
        (view.head.order.as_str(), view.head.version, view.head.attention),
        ("o-1", 1, Attention::None)
    );
    let parked = world.get("/v1/tenants/shop/orders/parked").await.json();
    assert_eq!((&parked["attention"], &parked["attention_reason"]), (&"parked".into(), &"it crashed".into()));
}

#[tokio::test]
async fn a_history_comes_in_pages() {
    let world = World::new().await;
    let path = "/v1/tenants/shop/orders/o-1/history";
    let page = async |query: &str| -> HistoryPage {
        serde_json::from_str(world.get(&format!("{path}{query}")).await.text()).unwrap()
    };
    let numbers = |page: &HistoryPage| page.entries.iter().map(|entry| entry.decision).collect::<Vec<_>>();
    let all = page("").await;
    assert_eq!((numbers(&all), all.next), (vec![1, 2, 3], None));
    let first = page("?limit=2").await;
    assert_eq!((numbers(&first), first.next), (vec![1, 2], Some(2)));
    let rest = page("?limit=2&after=2").await;
    assert_eq!((numbers(&rest), rest.next), (vec![3], None));
    assert_eq!(numbers(&page("?after=9").await), [0; 0]);
    for bad in ["limit=0", "limit=1001", "limit=", "after=-1", "after=x"] {
        world.get(&format!("{path}?{bad}")).await.refused(400, "invalid_field");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_read() {
    let world = World::new().await;
    for suffix in ["", "/history"] {
        let read = async |order: &str| world.get(&format!("/v1/tenants/{order}{suffix}")).await;
        read("shop/orders/none").await.refused(404, "order_not_found");
        read("nobody/orders/o-1").await.refused(404, "unknown_tenant");
        read("shop/orders/broken").await.refused(500, "internal");
        let trouble = read("shop/orders/trouble").await;
        trouble.refused(503, "unavailable");
        assert_eq!(trouble.header("retry-after"), Some("1"));
    }
    let slow = world.call("GET", "/v1/tenants/shop/orders/slow", &[("rf-timeout-ms", "20")], b"").await;
    slow.refused(503, "unavailable");
}

#[tokio::test]
async fn a_list_is_asked_for_exactly() {
    let world = World::new().await;
    let path = "/v1/tenants/shop/orders";
    let page = async |query: &str| {
        let reply = world.get(&format!("{path}{query}")).await;
        let list: OrderList = serde_json::from_str(reply.text()).unwrap();
        (list.position, list.next.unwrap())
    };
    let (position, next) = page("").await;
    assert!(position.len() > 80 && next.len() > 80, "opaque: {position} {next}");
    page(&format!("?status=canceling&attention=held&after={next}&limit=7")).await;
    {
        let asked = world.lists.asked.lock().unwrap();
        assert_eq!((asked[0].status, asked[0].after.as_deref(), asked[0].limit), (None, None, 100));
        assert_eq!(asked[1].status, Some(OrderStatus::Canceling));
        assert_eq!(asked[1].attention, Some(Attention::Held));
        assert_eq!((asked[1].after.as_deref(), asked[1].limit), (Some("n-1"), 7));
    }
    *world.lists.next.lock().unwrap() = "bad".into();
    let (_, bad) = page("").await;
    *world.lists.next.lock().unwrap() = "trouble".into();
    let (_, trouble) = page("").await;
    let told = |text: &str| text.to_owned();
    for (query, code, part) in [
        ("state=open", "unknown_field", told("status, attention, after, limit, at_least")),
        ("status=closed", "invalid_field", told("open, completed, canceling, canceled")),
        ("attention=", "invalid_field", told("none, held, stalled, parked")),
        ("limit=1001", "invalid_field", told("1 to 1000")),
        ("limit=5&limit=6", "duplicate_field", told("once")),
        ("after=", "invalid_field", told("earlier answer")),
        ("after=bad", "invalid_token", told("begin without it")),
        (&format!("after={bad}"), "invalid_token", told("begin without it")),
        (&format!("after={position}"), "invalid_token", told("begin without it")),
    ] {
        let problem = world.get(&format!("{path}?{query}")).await.refused(400, code);
        assert!(problem["detail"].as_str().unwrap().contains(&part), "{problem}");
    }
    world.get(&format!("/v1/tenants/flood/orders?after={next}")).await.refused(400, "invalid_token");
    world.get(&format!("{path}?after={trouble}")).await.refused(503, "unavailable");
    world.get("/v1/tenants/nobody/orders").await.refused(404, "unknown_tenant");
}

#[tokio::test]
async fn at_least_waits_within_the_requests_time() {
    let world = World::new().await;
    let path = "/v1/tenants/shop/orders?at_least=";
    let written = async |position: &str| {
        *world.lists.written.lock().unwrap() = position.into();
        world.place("c-1", &[]).await.header("rf-position").unwrap().to_owned()
    };
    let (here, bad, never) = (written("p-10").await, written("bad").await, written("never").await);
    assert_eq!(world.get(&format!("{path}{here}")).await.status, 200);
    for bad in [&bad, "p-10", &here[1..]] {
        let problem = world.get(&format!("{path}{bad}")).await.refused(400, "invalid_token");
        assert_eq!(problem["path"], "at_least");
    }
    let elsewhere = world.get(&format!("/v1/tenants/flood/orders?at_least={here}")).await;
    elsewhere.refused(400, "invalid_token");
    let never = world.call("GET", &format!("{path}{never}"), &[("rf-timeout-ms", "20")], b"").await;
    let problem = never.refused(503, "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("ask again with the same at_least"), "{problem}");
    assert!(never.header("retry-after").is_some());
}

#[tokio::test]
async fn probes_tell_how_the_process_is() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.get(path).await.json()["ok"], true);
        assert_eq!(world.admin("GET", path, &[], b"").await.status, 200);
    }
    world.reasons.lock().unwrap().push("the log is being read".into());
    let ready = world.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], "the log is being read");
    assert_eq!(world.get("/healthz").await.status, 200);
    let whole = world.admin("GET", "/metrics", &[], b"").await;
    assert_eq!(whole.text(), "up 1\nsent{tenant=\"shop\"} 1\n");
    // Who else is served here is no tenant's business.
    let metrics = world.get("/metrics").await;
    assert_eq!(metrics.text(), "up 1\n");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let world = World::new().await;
    for path in ["/", "/v1", "/v1/tenants", "/v1/admin/parked", "/v1/tenants/shop/orders/o-1/"] {
        world.get(path).await.refused(404, "not_found");
    }
    let reply = world.call("DELETE", "/v1/tenants/shop/orders/o-1", &[], b"").await;
    reply.refused(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    let commands = world.get(crate::world::COMMANDS).await;
    commands.refused(405, "method_not_allowed");
    assert_eq!(commands.header("allow"), Some("POST"));
    let options = world.call("OPTIONS", "/v1/tenants/shop/orders/o-1", &[], b"").await;
    assert_eq!((options.status, options.header("allow"), options.text()), (204, Some("GET,HEAD"), ""));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new().await;
    let path = "/v1/tenants/shop/orders/o-1";
    let (get, head) = (world.get(path).await, world.call("HEAD", path, &[], b"").await);
    assert_eq!((head.status, head.text()), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    let none = world.call("HEAD", "/v1/tenants/shop/orders/none", &[], b"").await;
    assert_eq!((none.status, none.text()), (404, ""));
    assert_eq!(world.call("HEAD", "/v1/tenants/shop/events", &[], b"").await.status, 200);
}

/// Lists as nodes of a cluster have them: none, now and later.
struct NotKept;

impl Views for NotKept {
    fn list(&self, _: OrderQuery) -> PortFuture<'_, Result<OrderPage, ViewError>> {
        Box::pin(std::future::ready(Err(ViewError::NotKept)))
    }

    fn counts(&self, _: Option<&TenantId>) -> Result<OrderCounts, ViewError> {
        Err(ViewError::NotKept)
    }

    fn position(&self) -> String {
        String::new()
    }

    fn written(&self) -> String {
        String::new()
    }

    fn reached<'a>(&'a self, _: &'a str) -> PortFuture<'a, Result<(), ViewError>> {
        Box::pin(std::future::ready(Err(ViewError::NotKept)))
    }
}

#[tokio::test]
async fn lists_that_are_not_kept_are_not_asked_for_again() {
    let Behind { mut edge, .. } = behind().await;
    edge.views = Arc::new(NotKept);
    let running = Server::start(local(), edge, Options::default()).unwrap();
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        Client::connect(running.public_addr).await.call(method, path, headers, body.as_bytes()).await
    };
    let list = ask("GET", "/v1/tenants/shop/orders", &[], "").await;
    list.refused(501, "not_kept_here");
    assert_eq!(list.header("retry-after"), None);
    let placed = ask("POST", COMMANDS, &[TYPE, JSON, ("idempotency-key", "c-1")], PLACE).await;
    assert_eq!((placed.status, placed.header("rf-position")), (200, None), "there is no list to wait for");
}
