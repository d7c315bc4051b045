//! A NATS server's own `partition()` against ours: the server routes commands by it, so the two must never differ.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::keys::partition_of;

#[path = "support/nats.rs"]
mod nats;
#[path = "support/poll.rs"]
mod poll;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/skipped.rs"]
mod skipped;

use nats::{Server, server_or_skip};

const PARTITIONS: u16 = 128;
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A server that routes commands as a cluster's does.
fn start(binary: &std::path::Path) -> Server {
    let mapping =
        format!("rf.cmd.{{{{partition({PARTITIONS},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}");
    Server::start(binary, &format!("mappings = {{ \"rf.v1.cmd.*.*\": \"{mapping}\" }}\n"))
}

/// The next line that is not the server's small talk.
fn line(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> String {
    loop {
        let mut line = String::new();
        let read = reader.read_line(&mut line).expect("nats-server answers in time");
        assert!(read > 0, "nats-server closed the connection");
        match line.trim_end() {
            "PING" => writer.write_all(b"PONG\r\n").unwrap(),
            "+OK" => {}
            other if other.starts_with("INFO ") => {}
            other if other.starts_with("-ERR") => panic!("nats-server: {other}"),
            other => return other.to_owned(),
        }
    }
}

/// Ids of all shapes that the grammar knows, short and long.
fn orders() -> Vec<OrderRef> {
    let mut random = fastrand::Rng::with_seed(0x7265_7461_696c);
    let tenants = ["cdnow", "a", "0-9", "shop-eu-1", &"t".repeat(63)].map(str::to_owned);
    let letters = b"ABCXYZabcxyz0189_-";
    let mut orders = Vec::new();
    for number in 0..200 {
        let length = if number < 64 { number + 1 } else { random.usize(1..=64) };
        let name: String = (0..length).map(|_| char::from(letters[random.usize(..letters.len())])).collect();
        let tenant = TenantId::parse(&tenants[number % tenants.len()]).unwrap();
        orders.push(OrderRef { tenant, order: OrderId::parse(&name).unwrap() });
    }
    orders
}

#[test]
fn the_server_computes_the_same_partition() {
    let Some(binary) = server_or_skip("nats_partition") else { return };
    let server = start(&binary);
    let mut writer = TcpStream::connect(server.address()).unwrap();
    writer.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
    writer.set_write_timeout(Some(ANSWERS_WITHIN)).unwrap();
    let mut reader = BufReader::new(writer.try_clone().unwrap());
    writer
        .write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB rf.cmd.> 1\r\nPING\r\n")
        .unwrap();
    assert_eq!(line(&mut reader, &mut writer), "PONG");

    let orders = orders();
    let mut different = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let subject = format!("rf.v1.cmd.{}.{}", order.tenant, order.order);
        let body = number.to_string();
        writer.write_all(format!("PUB {subject} {}\r\n{body}\r\n", body.len()).as_bytes()).unwrap();
        let header = line(&mut reader, &mut writer);
        let words: Vec<&str> = header.split(' ').collect();
        let ["MSG", routed, "1", length] = words[..] else { panic!("not a message: {header:?}") };
        let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
        reader.read_exact(&mut payload).unwrap();
        assert_eq!(payload, format!("{body}\r\n").as_bytes(), "the answer to this message");
        let ours = format!("rf.cmd.{}.{}.{}", partition_of(order, PARTITIONS), order.tenant, order.order);
        if routed != ours {
            different.push(format!("server {routed}, engine {ours}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        orders.len(),
        different.join("\n")
    );
    let used: std::collections::BTreeSet<_> =
        orders.iter().map(|order| partition_of(order, PARTITIONS)).collect();
    assert!(used.len() > 64, "only {} partitions were met", used.len());
}
