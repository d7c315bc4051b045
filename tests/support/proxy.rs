//! A TCP proxy that can be told to let nothing through: what was sent is lost to nobody, and no connection ends. So a cable looks that
//! was pulled.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes on their way at a time.
const PIECE_BYTES: usize = 16 << 10;

/// A proxy in front of one address, gone with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Begins to forward to `to`, as `127.0.0.1:port`.
    pub(crate) async fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, way) = watch::channel(true);
        let to = to.to_owned();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((from, _)) = listener.accept().await else { return };
                connections.spawn(forward(from, to.clone(), way.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, open, task }
    }

    /// Where it listens, as `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets nothing through any more, in neither direction.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets all through again, what waited first.
    pub(crate) fn restore(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(from: TcpStream, to: String, mut way: watch::Receiver<bool>) {
    if way.wait_for(|open| *open).await.is_err() {
        return;
    }
    let Ok(there) = TcpStream::connect(to).await else { return };
    let (here, there) = (from.into_split(), there.into_split());
    // Whichever side ends, the other one hears of it.
    tokio::select! {
        () = pump(here.0, there.1, way.clone()) => {}
        () = pump(there.0, here.1, way) => {}
    }
}

async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, mut way: watch::Receiver<bool>) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        if way.wait_for(|open| *open).await.is_err() || to.write_all(&piece[..read]).await.is_err() {
            break;
        }
    }
    // The end, too, waits for the way.
    let _ = way.wait_for(|open| *open).await;
}
