//! What the tests of the doors share: a server with their streams, and callers of all kinds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use retailflow_engine::ids::{OrderRef, PartitionId, TimestampMs};
use retailflow_engine::ports::{Clock, DeadLetters};
use retailflow_engine::wire::CommandEvent;
use retailflow_nats::{
    Connections, DoorStreams, EdgeConnection, InboxFault, InboxOptions, MisroutedCommands, NatsDeadLetters,
    NatsInbox, subjects,
};
use retailflow_testkit::author::place;
use serde_json::Value;

use crate::nats::Server;
use crate::world::options;

pub(crate) const WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_700_000_000_000)
    }
}

pub(crate) fn command(order: &OrderRef, id: &str) -> CommandEvent {
    let command = place(order, id);
    CommandEvent::new(command.order, command.key, (*command.data).clone())
}

/// A server with the doors' streams, and a caller.
pub(crate) struct Doors {
    pub(crate) server: Server,
    pub(crate) partitions: u16,
    pub(crate) connections: Connections,
    pub(crate) edge: EdgeConnection,
    pub(crate) letters: Arc<dyn DeadLetters>,
    pub(crate) caller: Client,
    pub(crate) misrouted: Arc<MisroutedCommands>,
}

impl Doors {
    pub(crate) async fn new(binary: &Path, partitions: u16) -> Self {
        let server = Server::with_streams(binary);
        let connections = Connections::open(&options(&server)).await.unwrap();
        let edge = EdgeConnection::open(&options(&server), "intake").await.unwrap();
        let streams = DoorStreams { partitions, replicas: 1, commands_max_bytes: None };
        for _ in 0..2 {
            assert_eq!(streams.provision(&connections).await.unwrap(), []);
        }
        let letters = Arc::new(NatsDeadLetters::new(&connections));
        let caller = async_nats::connect(server.url()).await.unwrap();
        Self { server, partitions, connections, edge, letters, caller, misrouted: Arc::default() }
    }

    pub(crate) fn inbox_options(&self, follow: bool) -> InboxOptions {
        InboxOptions {
            partitions: self.partitions,
            follow,
            misrouted: self.misrouted.clone(),
            ..InboxOptions::default()
        }
    }

    pub(crate) async fn inbox(&self, partition: u16, floor: u64, follow: bool) -> NatsInbox {
        self.try_inbox(partition, floor, self.inbox_options(follow)).await.unwrap()
    }

    pub(crate) async fn try_inbox(
        &self,
        partition: u16,
        floor: u64,
        options: InboxOptions,
    ) -> Result<NatsInbox, InboxFault> {
        let (connections, letters) = (&self.connections, self.letters.clone());
        NatsInbox::open(
            connections,
            &self.edge,
            PartitionId(partition),
            floor,
            letters,
            Arc::new(Fixed),
            options,
        )
        .await
    }

    /// Publishes as a caller does; what the server says.
    pub(crate) async fn publish(&self, subject: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
        let mut all = HeaderMap::new();
        headers.iter().for_each(|(name, value)| all.append(*name, *value));
        let asked = self.caller.request_with_headers(subject.to_owned(), all, body.to_vec().into());
        serde_json::from_slice(&asked.await.unwrap().payload).unwrap()
    }

    /// A command that the server takes; its position.
    pub(crate) async fn place(&self, order: &OrderRef, id: &str) -> u64 {
        let answer = self.publish(&subjects::command(order), &[], &command(order, id).to_json()).await;
        assert!(answer["error"].is_null(), "{answer}");
        answer["seq"].as_u64().unwrap()
    }

    /// Publishes headers that no client would, byte by byte.
    pub(crate) fn publish_bytes(&self, subject: &str, reply: &str, headers: &[u8], body: &[u8]) {
        let total = headers.len() + body.len();
        let line = format!("HPUB {subject} {reply} {} {total}\r\n", headers.len());
        self.write(&[line.as_bytes(), headers, body, b"\r\n"].concat());
    }

    /// Says to the server what a client would not.
    pub(crate) fn write(&self, message: &[u8]) {
        let mut socket = TcpStream::connect(self.server.address()).unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        let connect = b"CONNECT {\"headers\":true,\"verbose\":false,\"no_responders\":true}\r\n".as_slice();
        socket.write_all(&[connect, message, b"PING\r\n"].concat()).unwrap();
        let mut said = Vec::new();
        while !said.windows(4).any(|four| four == b"PONG") {
            let mut buffer = [0; 1024];
            let read = socket.read(&mut buffer).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&buffer[..read]);
        }
    }

    pub(crate) async fn letters(&self) -> Vec<(String, String)> {
        let all = self.letters.list(0, usize::MAX).await.unwrap();
        all.into_iter().map(|stored| (stored.letter.code, stored.letter.origin)).collect()
    }
}
