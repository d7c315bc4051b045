//! A NATS server's own `partition()` against ours: the server routes commands by it, so the two must never differ.
//!
//! The server's binary is looked for below `RETAILFLOW_TOOLS`, else below `.tools` of the repository. Without it the
//! test says so and passes, unless `RETAILFLOW_TOOLS` is set: whoever names a folder wants the test.
//! `RETAILFLOW_SKIP=nats` skips it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use retailflow_engine::ids::{OrderId, OrderRef, TenantId};
use retailflow_engine::keys::partition_of;

const PARTITIONS: u16 = 128;
const STARTS_WITHIN: Duration = Duration::from_secs(20);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The server's binary, or why the test is skipped.
fn server_binary() -> Result<PathBuf, String> {
    let skip = std::env::var("RETAILFLOW_SKIP").unwrap_or_default();
    if skip.split(',').any(|name| name.trim() == "nats") {
        return Err("RETAILFLOW_SKIP names nats".into());
    }
    let named = std::env::var_os("RETAILFLOW_TOOLS").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools"));
    match find(&folder, 6) {
        Some(found) => Ok(found),
        None if named.is_some() => panic!(
            "no nats-server below {}, which RETAILFLOW_TOOLS names: run `cargo xtask setup`, or set RETAILFLOW_SKIP=nats",
            folder.display()
        ),
        None => Err(format!("no nats-server below {}: run `cargo xtask setup`", folder.display())),
    }
}

fn find(folder: &Path, depth: u32) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(path),
            Ok(_) if entry.file_name() == "nats-server" && path.is_file() => return Some(path),
            _ => {}
        }
    }
    folders.sort();
    folders.iter().filter(|_| depth > 0).find_map(|folder| find(folder, depth - 1))
}

/// A server of our own, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Server {
    /// Starts it on a port of its own choice, and says where it listens.
    fn start(binary: &Path, folder: &Path) -> (Self, String) {
        let config = folder.join("nats.conf");
        let mapping =
            format!("rf.cmd.{{{{partition({PARTITIONS},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}");
        let text = format!("host: 127.0.0.1\nport: -1\nmappings = {{ \"rf.v1.cmd.*.*\": \"{mapping}\" }}\n");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(binary);
        command.arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = Self(command.spawn().unwrap());
        let log = BufReader::new(server.0.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Reads on to the end, so that the server never waits for its log to be read.
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        let (begun, mut said, mut address) = (Instant::now(), String::new(), None);
        while let Ok(line) = lines.recv_timeout(STARTS_WITHIN.saturating_sub(begun.elapsed())) {
            if let Some((_, at)) = line.split_once("Listening for client connections on ") {
                address = Some(at.trim().to_owned());
            }
            match address {
                Some(address) if line.ends_with("Server is ready") => return (server, address),
                _ => said = said + &line + "\n",
            }
        }
        panic!("nats-server does not listen:\n{said}");
    }
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
    let binary = match server_binary() {
        Ok(binary) => binary,
        Err(why) => {
            // Straight to standard error: what a passing test prints is not shown.
            drop(writeln!(std::io::stderr(), "nats_partition: skipped: {why}"));
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = Server::start(&binary, folder.path());
    let mut writer = TcpStream::connect(address).unwrap();
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
