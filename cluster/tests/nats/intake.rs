//! The contract suites of intake: the inbox, and the dead letters.

use std::path::PathBuf;
use std::sync::Arc;

use retailflow_cluster::nats::{Connections, NatsDeadLetters, subjects};
use retailflow_engine::contract::Subject;
use retailflow_engine::contract::author::orders_in;
use retailflow_engine::contract::command_inbox::{self, Inbox, InboxSubject};
use retailflow_engine::contract::dead_letters::{self, Letters};
use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::PortFuture;

use crate::doors::Doors;
use crate::nats::server_or_skip;

/// One server an inbox: the same name is opened again after the server was killed.
struct Inboxes {
    binary: PathBuf,
    opened: Option<(String, Doors)>,
}

impl InboxSubject for Inboxes {
    fn open(&mut self, name: &str, bodies: &[Vec<u8>], body_max_bytes: usize) -> PortFuture<'_, Inbox> {
        let (name, bodies) = (name.to_owned(), bodies.to_vec());
        Box::pin(async move {
            match &mut self.opened {
                Some((opened, doors)) if *opened == name => {
                    doors.server.kill();
                    doors.server.run();
                }
                opened => {
                    let doors = Doors::new(&self.binary, 3).await;
                    let order = orders_in(PartitionId(0), 3, 1).remove(0);
                    for body in &bodies {
                        let subject = subjects::command(&order);
                        let answer = doors.publish(&subject, &[], body).await;
                        assert!(answer["seq"].is_u64(), "{answer}");
                    }
                    *opened = Some((name, doors));
                }
            }
            let doors = &self.opened.as_ref().unwrap().1;
            let mut options = doors.inbox_options(false);
            options.body_max_bytes = body_max_bytes;
            let inbox: Inbox = Box::new(doors.try_inbox(0, 0, options).await.unwrap());
            inbox
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_keeps_the_contract() {
    let Some(binary) = server_or_skip("the_inbox_keeps_the_contract") else { return };
    command_inbox::suite(&mut Inboxes { binary, opened: None }).await;
}

struct Shelves {
    binary: PathBuf,
    doors: Option<Doors>,
    reopened: usize,
}

impl Subject for Shelves {
    type Port = Letters;

    fn fresh(&mut self) -> PortFuture<'_, Letters> {
        Box::pin(async move {
            let doors = self.doors.insert(Doors::new(&self.binary, 1).await);
            doors.letters.clone()
        })
    }

    fn reopen(&mut self, port: Letters) -> PortFuture<'_, Letters> {
        drop(port);
        Box::pin(async move {
            let doors = self.doors.as_mut().unwrap();
            self.reopened += 1;
            if self.reopened % 2 == 1 {
                doors.server.kill();
                doors.server.run();
            }
            let connections = Connections::open(&crate::world::options(&doors.server)).await.unwrap();
            let letters: Letters = Arc::new(NatsDeadLetters::new(&connections));
            letters
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_keep_the_contract() {
    let Some(binary) = server_or_skip("dead_letters_keep_the_contract") else { return };
    dead_letters::suite(&mut Shelves { binary, doors: None, reopened: 0 }).await;
}
