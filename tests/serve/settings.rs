//! Settings of a server that only a whole one shows.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);

fn with(settings: &[&str]) -> (World, Server) {
    let world = World::new();
    let call =
        settings.iter().fold(world.on_data(&["serve"]), |call, setting| call.arg("--set").arg(setting));
    let server = Server::of(call);
    (world, server)
}

fn metrics(server: &Server) -> String {
    crate::support::http::Client::new(&server.admin).get("/metrics").unwrap().body
}

#[test]
fn the_probe_comes_as_often_as_is_set() {
    let probed = |text: &str| {
        let counts = text.lines().filter(|line| line.starts_with("retailflow_probe_seconds_count"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let (_world, often) = with(&["probe.interval_ms=40"]);
    let (_other, never) = with(&["probe.interval_ms=0"]);
    wait_for("many probes", BOUND, || (probed(&metrics(&often)) > 20.0).then_some(()));
    assert_eq!(probed(&metrics(&never)), 0.0);
    often.stop();
    never.stop();
}

/// A body that never comes holds a stop up for as long as answers have, and no longer.
#[test]
fn answers_under_way_have_the_time_that_is_set() {
    let took = |drain_ms: u64| {
        let (_world, server) = with(&[&format!("http.drain_ms={drain_ms}"), "http.body_timeout_ms=600000"]);
        let mut caller = TcpStream::connect(&server.public).unwrap();
        let begun = "POST /v1/tenants/shop/orders/o-1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Ce-Type: retailflow.order.place.v1\r\nIdempotency-Key: c-1\r\nContent-Length: 100\r\n\r\n{";
        caller.write_all(begun.as_bytes()).unwrap();
        wait_for("it is under way", BOUND, || {
            let metrics = metrics(&server);
            let count = metrics.lines().find(|line| line.starts_with("retailflow_http_connections "))?;
            (count.rsplit(' ').next()?.parse::<f64>().ok()? >= 1.0).then_some(())
        });
        let begun = Instant::now();
        server.stop();
        begun.elapsed()
    };
    let (short, long) = (took(100), took(4_000));
    assert!(short < Duration::from_secs(3), "{short:?}");
    assert!(long >= Duration::from_secs(4) && long < Duration::from_secs(15), "{long:?}");
}

#[test]
fn what_is_logged_and_how_is_what_is_set() {
    let said = |settings: &[&str]| {
        let (_world, server) = with(settings);
        server.stop()
    };
    let (quiet, loud) = (said(&["telemetry.log=error"]), said(&["telemetry.log=info"]));
    assert_eq!(quiet, "");
    assert!(
        loud.contains("stopped")
            && serde_json::from_str::<serde_json::Value>(loud.lines().next().unwrap()).is_err()
    );
    let lines = said(&["telemetry.log=info", "telemetry.format=json"]);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

/// The setting was ignored without a word.
#[test]
fn partitions_of_a_directory_stay_and_that_is_said() {
    let world = World::new();
    let serve = |partitions: &str| {
        let server = Server::of(world.on_data(&["serve", "--set", partitions]));
        let text = metrics(&server);
        let held =
            text.lines().find(|line| line.starts_with("retailflow_partitions_held ")).map(str::to_owned);
        (held.unwrap().rsplit(' ').next().unwrap().to_owned(), server.stop())
    };
    let (held, _) = serve("log.partitions=2");
    assert_eq!(held, "2");
    let (held, said) = serve("log.partitions=8");
    assert_eq!(held, "2");
    assert!(said.contains("partitions_ignored") && said.contains("keeps its 2"), "{said}");
    let (_, said) = serve("log.partitions=2");
    assert!(!said.contains("partitions_ignored"), "{said}");
}
