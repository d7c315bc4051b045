//! Outcomes as answers.

use std::time::Duration;

use retailflow_engine::order::Actor;
use retailflow_engine::wire::Code;
use retailflow_gateway::Route;

use crate::world::{COMMANDS, Client, JSON, PLACE, TYPE, World};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_applied_command_gives_its_outcome_and_the_position() {
    let world = World::new().await;
    let reply = world.place("c-1", &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let position = reply.header("rf-position").unwrap();
    assert!(!position.contains("p-10"), "{position}: an opaque token");
    let list = world.get(&format!("/v1/tenants/shop/orders?at_least={position}")).await;
    assert_eq!(list.status, 200);
    assert_eq!(reply.header("idempotent-replayed"), None);
    let outcome = reply.json();
    assert_eq!(outcome["status"], "applied");
    assert_eq!(outcome["command_id"], "c-1");
    assert_eq!(outcome["source"], "/http");
    assert_eq!(outcome["durability"]["class"], "fsync");
    let asked = world.door.asked.lock().unwrap();
    assert_eq!(asked[0].1, Actor::Tenant);
    assert_eq!(asked[0].0.order.to_string(), "shop/o-1");
}

#[tokio::test]
async fn every_code_of_the_door_is_given_with_its_status() {
    let world = World::new().await;
    for code in Code::ALL.iter().filter(|code| **code != Code::Unauthorized) {
        let reply = world.place(code.as_str(), &[]).await;
        assert_eq!(reply.status, code.http_status(), "{code}");
        if reply.status < 400 {
            assert_eq!(reply.json()["code"], code.as_str());
            continue;
        }
        let problem = reply.refused(code.http_status(), code.as_str());
        assert_eq!(problem["order"], "o-1");
        assert_eq!(problem["outcome_status"], code.status().as_str());
        assert_eq!(problem["type"], format!("urn:retailflow:code:{code}"));
        assert_eq!(reply.header("rf-position").is_some(), reply.status == 422, "{code}");
        assert_eq!(reply.header("retry-after").is_some(), matches!(reply.status, 429 | 503), "{code}");
    }
}

#[tokio::test]
async fn a_wait_is_told_in_seconds_rounded_up() {
    let world = World::new().await;
    let reply = world.place("throttled", &[]).await;
    assert_eq!(reply.refused(429, "throttled")["retry_after_ms"], 1001);
    assert_eq!(reply.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_replay_says_so() {
    let world = World::new().await;
    let applied = world.place("replayed", &[]).await;
    assert_eq!((applied.status, applied.header("idempotent-replayed")), (200, Some("true")));
    let rejected = world.place("over_return", &[]).await;
    assert_eq!((rejected.status, rejected.header("idempotent-replayed")), (422, Some("true")));
    assert_eq!(rejected.json()["replayed"], true);
}

#[tokio::test]
async fn the_deadline_is_the_callers_or_the_configured_one() {
    let world = World::with(|http| http.request_timeout_max_ms = 20_000).await;
    world.place("c-1", &[("rf-timeout-ms", "15000")]).await;
    world.place("c-2", &[]).await;
    let times: Vec<Duration> = world.door.asked.lock().unwrap().iter().map(|asked| asked.2).collect();
    assert!(times[0] <= Duration::from_secs(15) && times[0] > Duration::from_secs(10), "{times:?}");
    assert!(times[1] <= Duration::from_secs(10), "{times:?}");
    for bad in ["0", "20001", "-1", "+5", "1.5", "soon", ""] {
        let problem = world.place("c-3", &[("rf-timeout-ms", bad)]).await.refused(400, "invalid_field");
        assert_eq!(problem["path"], "rf-timeout-ms");
        assert!(problem["detail"].as_str().unwrap().contains("1 to 20000"), "{problem}");
    }
}

#[tokio::test]
async fn a_trace_goes_in_and_comes_back() {
    let world = World::new().await;
    let reply = world.place("c-1", &[("traceparent", PARENT), ("tracestate", "a=1")]).await;
    assert_eq!(reply.header("traceparent"), Some(PARENT));
    let trace = world.door.asked.lock().unwrap()[0].0.trace.clone();
    assert_eq!(trace.traceparent.as_deref(), Some(PARENT));
    assert_eq!(trace.tracestate.as_deref(), Some("a=1"));

    let nonsense = world.place("c-2", &[("traceparent", "nonsense"), ("tracestate", "a=1")]).await;
    assert_eq!(nonsense.header("traceparent"), None);
    assert_eq!(world.door.asked.lock().unwrap()[1].0.trace.tracestate, None);

    let read = world.call("GET", "/v1/tenants/shop/orders/o-1", &[("traceparent", PARENT)], b"").await;
    assert_eq!(read.header("traceparent"), Some(PARENT));
}

#[tokio::test]
async fn a_handler_that_panics_is_a_problem_and_takes_nothing_along() {
    let world = World::new().await;
    let reply = world.place("panic", &[]).await;
    reply.refused(500, "internal");
    assert!(!reply.text().contains("as asked for"));
    assert_eq!(world.counts.panics(), 1);
    assert_eq!(world.place("c-1", &[]).await.status, 200);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let world = World::new().await;
    let mut client = Client::connect(world.running.public_addr).await;
    for number in 0..20 {
        let id = format!("c-{number}");
        let headers = [TYPE, JSON, ("idempotency-key", id.as_str())];
        assert_eq!(client.call("POST", COMMANDS, &headers, PLACE.as_bytes()).await.status, 200);
    }
    assert_eq!(world.counts.connections_open(), 1);
    assert_eq!(world.counts.responses(Route::Command, 2), 20);
}
