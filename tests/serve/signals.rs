//! A server that is killed or stopped under load keeps each outcome that it has given.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::load::Load;
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::World;

const BOUND: Duration = Duration::from_secs(60);
/// Enough for all callers to be at work.
const ANSWERS: u64 = 100;

/// Waits until so many are answered, and then so long.
fn under_load(answered: &AtomicU64, lasts: Duration) {
    wait_for("answers", BOUND, || (answered.load(Ordering::Relaxed) >= ANSWERS).then_some(()));
    let begun = Instant::now();
    wait_for("the moment of the signal", BOUND, || (begun.elapsed() >= lasts).then_some(()));
}

/// Asks for all again, stops in good order, and looks at the whole log.
fn finish(world: &World, load: &mut Load) {
    let server = Server::start(world);
    load.check(&server.public);
    server.stop();
    let verified = world.verified("data", 0);
    assert_eq!((&verified["sound"], &verified["clean_stop"]), (&true.into(), &true.into()), "{verified}");
    let orders = verified["orders"].as_u64().unwrap();
    // The probe may have placed some of its own.
    assert!(orders >= load.orders() as u64, "{orders} orders");
}

#[test]
fn outcomes_given_before_a_kill_are_the_same_afterwards() {
    let kills = std::env::var("RETAILFLOW_SERVE_KILLS").map_or(5, |text| text.parse().expect("a number"));
    let mut rng = fastrand::Rng::with_seed(kills);
    let (world, mut load) = (World::new(), Load::new());
    for _ in 0..kills {
        let server = Server::start(&world);
        let address = server.public.clone();
        let lasts = Duration::from_millis(rng.u64(..400));
        load.work(&address, |answered| {
            under_load(answered, lasts);
            server.kill();
        });
    }
    finish(&world, &mut load);
    let (sent, compared) = load.counts();
    assert!(compared > 0);
    // Shown with `--nocapture`.
    println!(
        "{kills} kills under load: {sent} commands, {compared} outcomes given again, none of them changed"
    );
}

#[test]
fn a_stop_answers_what_is_under_way_and_takes_in_nothing_new() {
    const PLACE: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;
    let world = World::new();
    let server = Server::start(&world);
    let address = server.public.clone();
    let headers = [
        ("Content-Type", "application/json"),
        ("Ce-Type", "retailflow.order.place.v1"),
        ("Idempotency-Key", "half"),
    ];
    let answer = server.client().post_in_halves("/v1/tenants/t/orders/o1/commands", &headers, PLACE, || {
        server.terminate();
        let refused = || TcpStream::connect(&address).is_err().then_some(());
        wait_for("new connections are refused", BOUND, refused);
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
    let (code, said) = server.ended();
    assert_eq!(code, Some(0), "{said}");
    let shown = world.on_data(&["order", "show", "t", "o1"]).run().expect(0);
    assert!(shown.stdout.contains("customer   c"), "{}", shown.stdout);
}

#[test]
fn a_stop_under_load_answers_what_it_took_in_and_loses_nothing() {
    let (world, mut load) = (World::new(), Load::new());
    let server = Server::start(&world);
    let address = server.public.clone();
    load.work(&address, |answered| {
        under_load(answered, Duration::ZERO);
        server.stop();
    });
    // The server's own word for a stop in good order.
    assert_eq!(world.verified("data", 0)["clean_stop"], true);
    finish(&world, &mut load);
    assert!(load.counts().1 >= ANSWERS);
}
