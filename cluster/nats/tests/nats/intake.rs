//! The contract suites of intake: the inbox, and the dead letters.

use std::path::PathBuf;
use std::sync::Arc;

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{Delivery, PortFuture};
use retailflow_nats::{Connections, InboxFault, NatsDeadLetters, subjects};
use retailflow_testkit::Subject;
use retailflow_testkit::author::orders_in;
use retailflow_testkit::command_inbox::{self, Inbox, InboxSubject};
use retailflow_testkit::dead_letters::{self, Letters};
use serde_json::json;

use crate::doors::Doors;
use crate::nats::server_or_skip;
use crate::raw::Raw;

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

/// What was given before is given again from anywhere, and where it is gone that is said: it is not taken for nothing to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_read_again_and_is_gone_is_a_gap() {
    let Some(binary) = server_or_skip("what_is_to_be_read_again_and_is_gone_is_a_gap") else { return };
    let doors = Doors::new(&binary, 2).await;
    let homes = [0, 1].map(|partition| orders_in(PartitionId(partition), 2, 1).remove(0));
    for number in 0..10 {
        doors.place(&homes[number % 2], &format!("c-{number}")).await;
    }
    let mut inbox = doors.inbox(1, 0, false).await;
    let given = inbox.read(4).await.unwrap();
    let positions = |given: &[Delivery]| given.iter().map(|one| one.position).collect::<Vec<_>>();
    assert_eq!(positions(&given), [2, 4, 6, 8]);
    assert_eq!(inbox.read_again(2, 6, 9).await.unwrap(), given[1..3]);
    assert_eq!(inbox.read_again(0, 10, 9).await.unwrap(), given, "no more than was given");
    let raw = Raw::connect(&doors.server).await;
    raw.must("STREAM.PURGE.RF_CMD", &json!({ "seq": 7 })).await;
    let fault = inbox.read_again(2, 6, 9).await.unwrap_err();
    assert!(matches!(fault, InboxFault::Gap { after: 2, .. }), "{fault}");
    assert_eq!(inbox.read_again(6, 8, 9).await.unwrap(), given[3..]);
}
