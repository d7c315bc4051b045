//! Settings that change what nobody else's test changes.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Client, World, until};

#[tokio::test]
async fn the_size_of_headers_is_the_one_that_is_set() {
    let filler = "x".repeat(20_000);
    for (max_bytes, status) in [(8_192, 431), (65_536, 200)] {
        let world = World::with(|http| http.header_max_bytes = max_bytes).await;
        let mut client = Client::connect(world.running.admin_addr).await;
        let reply = client.call("GET", "/healthz", &[("x-filler", &filler)], b"").await;
        assert_eq!(reply.status, status, "{max_bytes}");
    }
}

#[tokio::test]
async fn a_tenants_share_is_the_one_that_is_set() {
    for (percent, opened) in [(25, 2), (50, 4), (100, 8)] {
        let world = World::with(|http| {
            http.streams_max = 8;
            http.tenant_share_percent = percent;
        })
        .await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(Client::connect(world.running.public_addr).await);
        }
        let asked = clients.iter_mut().map(|client| client.begin("GET", "/v1/tenants/shop/events", &[], b""));
        let streams = join_all(asked).await;
        let open = streams.iter().filter(|stream| stream.status().as_u16() == 200).count();
        assert_eq!(open, opened, "{percent}");
    }
}

#[tokio::test]
async fn an_addresss_share_is_the_one_that_is_set() {
    for (percent, open) in [(25, 8), (100, 32)] {
        let world = World::with(|http| {
            http.connections_max = 32;
            http.address_share_percent = percent;
            http.header_timeout_ms = 600_000;
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut stream = TcpStream::connect(world.running.public_addr).await.unwrap();
            // Under way: none of these gives way.
            let begun = "POST /v1/tenants/shop/orders/o-1/commands HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                 Ce-Type: retailflow.order.place.v1\r\nIdempotency-Key: c-1\r\nContent-Length: 100\r\n\r\n";
            stream.write_all(begun.as_bytes()).await.unwrap();
            held.push(stream);
        }
        until("all have come", async || world.counts.connections_refused() >= 40 - open).await;
        assert_eq!(world.counts.connections_open(), open, "{percent}");
    }
}

#[tokio::test]
async fn a_request_that_names_no_time_has_the_one_that_is_set() {
    for request_timeout_ms in [700, 9_000] {
        let world = World::with(|http| http.request_timeout_ms = request_timeout_ms).await;
        world.place("c-1", &[]).await;
        let most = Duration::from_millis(request_timeout_ms);
        let given = world.door.asked.lock().unwrap()[0].2;
        assert!(given <= most && given > most / 2, "{given:?} of {most:?}");
    }
}
