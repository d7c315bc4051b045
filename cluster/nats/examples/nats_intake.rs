//! How many commands a second are read from the stream of commands, by how many partitions at once.
//!
//! `cargo run --release -p retailflow-nats --example nats_intake`: on a server of its own, one replica. Reading
//! includes the check of each command. It prints, and judges nothing.

#[path = "../../../tests/support/nats.rs"]
mod nats;
#[path = "../../../tests/support/poll.rs"]
mod poll;
#[path = "../../../tests/support/ports.rs"]
mod ports;
#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use retailflow_engine::ids::{PartitionId, TimestampMs};
use retailflow_engine::ports::Clock;
use retailflow_engine::wire::CommandEvent;
use retailflow_nats::{
    Connections, DoorStreams, EdgeConnection, InboxOptions, NatsDeadLetters, NatsInbox, NatsOptions, subjects,
};
use retailflow_testkit::author::{order, place};

const COMMANDS: usize = 60_000;
const ORDERS: usize = 30_000;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(1)
    }
}

#[tokio::main]
async fn main() {
    let Some(binary) = nats::server_or_skip("nats_intake") else { return };
    println!(
        "partitions | commands in the stream | orders | commands/s read | ms to the first batch of each (mean)"
    );
    for partitions in [1, 16, 128] {
        // How long a publish takes is not what is measured.
        let server =
            nats::Server::start(&binary, "max_payload: 8MB\njetstream { store_dir: \"FOLDER/js\" }\n");
        let options = NatsOptions { servers: vec![server.url()], ..NatsOptions::default() };
        let connections = Connections::open(&options).await.unwrap();
        let streams = DoorStreams { partitions, replicas: 1, commands_max_bytes: None };
        streams.provision(&connections).await.unwrap();
        let caller = async_nats::connect(server.url()).await.unwrap();
        let publish = |number: usize| {
            let caller = caller.clone();
            async move {
                let command =
                    place(&order("shop", &format!("o-{}", number % ORDERS)), &format!("c-{number}"));
                let event = CommandEvent::new(command.order, command.key, (*command.data).clone());
                caller.request(subjects::command(&event.order), event.to_json().into()).await.unwrap();
            }
        };
        stream::iter(0..COMMANDS).map(publish).buffer_unordered(256).for_each(|()| async {}).await;
        let edge = EdgeConnection::open(&options, "intake").await.unwrap();
        let begun = Instant::now();
        let readers: Vec<_> = (0..partitions)
            .map(|partition| {
                let (connections, edge) = (connections.clone(), edge.clone());
                tokio::spawn(async move {
                    let letters = Arc::new(NatsDeadLetters::new(&connections));
                    let options = InboxOptions { partitions, follow: false, ..InboxOptions::default() };
                    let (home, clock) = (PartitionId(partition), Arc::new(Fixed));
                    let inbox = NatsInbox::open(&connections, &edge, home, 0, letters, clock, options);
                    let (mut inbox, mut read, mut first) = (inbox.await.unwrap(), 0, None);
                    loop {
                        let begun = Instant::now();
                        let batch = inbox.read(256).await.unwrap();
                        first.get_or_insert_with(|| begun.elapsed());
                        if batch.is_empty() {
                            return (read, first.unwrap_or_default());
                        }
                        read += batch.len();
                    }
                })
            })
            .collect();
        let (mut read, mut first) = (0, 0.0);
        for reader in readers {
            let (count, took) = reader.await.unwrap();
            read += count;
            first += took.as_secs_f64() * 1e3 / f64::from(partitions);
        }
        let second = read as f64 / begun.elapsed().as_secs_f64();
        println!("{partitions:>10} | {read} | {ORDERS} | {second:.0} | {first:.1}");
    }
}
