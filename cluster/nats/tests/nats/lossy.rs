//! The server does what it is asked, and the answer is lost on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use retailflow_engine::ids::PartitionId;
use retailflow_engine::ports::{CommitError, EventLog};
use retailflow_nats::{Connections, NatsLog, NatsLogOptions, NatsOptions};
use retailflow_testkit::author::{Author, Writer, orders_in};
use retailflow_testkit::event_log::{assert_is, scan};

use crate::nats::{Server, server_or_skip};
use crate::refusals::resolved;
use crate::world::{World, identity, log_options, options};

const HOME: PartitionId = PartitionId(0);

/// Stands between a client and a server, and may keep the server's answers for itself.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    server: AtomicU16,
    silent: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn forward(&self, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let lost = answers && self.silent.load(Ordering::SeqCst);
            if !lost && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Proxy {
    /// In front of a server.
    pub(crate) fn before(server: &Server) -> Self {
        let server = server.address().rsplit(':').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { server: AtomicU16::new(server), ..Shared::default() });
        let own = shared.clone();
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                let server = TcpStream::connect(("127.0.0.1", own.server.load(Ordering::SeqCst))).unwrap();
                let both = [
                    (client.try_clone(), server.try_clone(), false),
                    (server.try_clone(), client.try_clone(), true),
                ];
                own.open.lock().unwrap().extend([client, server]);
                for (from, to, answers) in both {
                    let (from, to, own) = (from.unwrap(), to.unwrap(), own.clone());
                    std::thread::spawn(move || own.forward(from, to, answers));
                }
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on nothing comes back.
    pub(crate) fn lose_answers(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// Cuts all connections; the next ones are whole.
    pub(crate) fn heal(&self) {
        self.shared.silent.store(false, Ordering::SeqCst);
        self.shared.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.cut();
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// The outcome is unknown, although the group is there; the identical one finds it and writes nothing. One that another
/// owner came before is fenced instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_again() {
    const ROUNDS: usize = 6;
    let Some(binary) = server_or_skip("a_lost_answer_is_found_again") else { return };
    let world = World::new(&binary, 1, 1).await;
    let proxy = Proxy::before(&world.server);
    let through =
        NatsOptions { servers: vec![proxy.url()], request_timeout_ms: 500, ..options(&world.server) };
    let connections = Connections::open(&through).await.unwrap();
    let lossy = NatsLogOptions { commit_timeout_ms: 300, ..log_options() };
    let log = NatsLog::open(&connections, &identity(1, 1), &lossy).await.unwrap();
    let beside = world.open().await;
    let orders = orders_in(HOME, 1, 5);
    let mut authors: Vec<Author> = orders.iter().map(Author::new).collect();
    let mut owner = Writer::open(&*log, HOME, 1).await;
    // What cannot even be sent has not happened: the last fence is read first.
    proxy.lose_answers();
    let first = owner.group(vec![], vec![]);
    let answer = log.commit(first.clone()).await;
    assert!(matches!(answer, Err(CommitError::Unreachable(_))), "{answer:?}");
    proxy.heal();
    let commit = resolved(&log, &first).await;
    owner.acknowledged(&first);
    let mut appended = vec![(first, commit)];
    let mut in_the_dark = 0;
    for round in 0..ROUNDS {
        // A lone fence now and then.
        let records = authors.iter_mut().skip(round % 6).map(|author| author.write(1)).collect();
        let group = owner.group(records, vec![]);
        proxy.lose_answers();
        let answer = log.commit(group.clone()).await;
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        let there = beside.head(HOME).await.unwrap().fence;
        // Unless the connection was not back yet: then it is sent when it is, beside the one that is proposed again.
        in_the_dark += usize::from(there.as_ref() == Some(&group.fence));
        // Asked in the dark it stays unknown.
        let answer = log.commit(group.clone()).await;
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        proxy.heal();
        let commit = resolved(&log, &group).await;
        owner.acknowledged(&group);
        appended.push((group, commit));
    }
    let found = scan(&*beside, usize::MAX).await;
    assert!(in_the_dark > 0, "some were there while their answers were lost");
    assert_eq!(found.len(), ROUNDS + 1);
    for (logged, (group, commit)) in found.iter().zip(&appended) {
        assert_eq!(logged.position, commit.position);
        assert_is(logged, group);
    }
    let group = owner.group(vec![authors[0].write(1)], vec![]);
    proxy.lose_answers();
    assert!(matches!(log.commit(group.clone()).await, Err(CommitError::Unknown(_))));
    Writer::open(&*beside, HOME, 7).await.append(&*beside, vec![], vec![]).await;
    proxy.heal();
    let begun = std::time::Instant::now();
    let answer = loop {
        match log.commit(group.clone()).await {
            Err(CommitError::Unknown(_)) => assert!(begun.elapsed().as_secs() < 30, "it stays unknown"),
            other => break other,
        }
    };
    assert_eq!(answer, Err(CommitError::Fenced { epoch: 7 }));
}
