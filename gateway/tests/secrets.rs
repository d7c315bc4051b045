//! What customers and their systems send stays out of the log, whatever becomes of it.
//!
//! A program of its own: whether a line is wanted is remembered for the whole process, and others want none.

#[allow(dead_code)] // Shared with the other tests, which need all of it.
#[path = "http/fakes.rs"]
mod fakes;
#[allow(dead_code)]
#[path = "http/world.rs"]
mod world;

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::level_filters::LevelFilter;

use crate::world::{COMMANDS, JSON, TYPE, World};

/// Planted wherever a client can put something.
const MARK: &str = "MARKED";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_line_of_the_log_has_what_a_client_sent() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // All tasks of this test are on its thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let given = [TYPE, JSON, ("idempotency-key", MARK), ("ce-source", MARK), ("rf-timeout-ms", MARK)];
    let body = format!("{{\"customer\":\"{MARK}\",\"{MARK}\":1}}");
    for headers in 1..=given.len() {
        world.call("POST", COMMANDS, &given[..headers], body.as_bytes()).await;
    }
    world.place("panic", &[]).await;
    for path in [
        "/v1/tenants/shop/orders/MARKED".to_owned(),
        "/v1/tenants/shop/orders/broken".to_owned(),
        format!("/v1/tenants/shop/orders?after={MARK}&{MARK}={MARK}"),
        format!("/v1/tenants/shop/events?after={MARK}"),
        format!("/{MARK}"),
    ] {
        world.get(&path).await;
    }
    drop(world);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("listening") && text.contains("panicked"), "{text}");
    for secret in [MARK, "SECRET", "shop", "o-1", "as asked for"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
