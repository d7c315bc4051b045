//! Between a server and the client: what a caller wrote so that the client cannot read it is taken out on the way.
//!
//! The client ends its connection at a header, or a subject, that it cannot read, and whatever else had come over it is lost. Any
//! caller can send one, so a connection that carries strangers' messages goes through here (ADR 29). It reads the server's protocol
//! message by message, changes nothing that the client reads, and never ends for what a stranger wrote.
//!
//! It listens on this machine alone, for its own client. It gives nobody more than the server does: whoever else connects is
//! as unknown to the server as before.

mod frames;
mod tls;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::ServerAddr;
use bytes::BytesMut;
use metrics::counter;
use parking_lot::Mutex;
use retailflow_engine::metric;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::frames::Frames;
pub(super) use self::frames::UNREADABLE;
use super::connect_options::NatsOptions;
use super::login;

/// The client has one, and a new one before the old one is quite gone.
const PIPES_MAX: usize = 8;
/// Servers that others have told of.
const SERVERS_MAX: usize = 64;
/// Read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// A server's first line, in bytes.
const INFO_MAX_BYTES: usize = 64 << 10;
/// Between two lines that say the same.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// For a client to end.
const END_MAX: Duration = Duration::from_secs(5);
/// After a port could not be listened to.
const PAUSE: Duration = Duration::from_millis(100);

/// What was taken out so far.
#[derive(Debug, Default)]
pub(super) struct FilterCounts {
    /// Messages whose headers were replaced.
    replaced: AtomicU64,
    /// Messages that were left out.
    dropped: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl FilterCounts {
    fn add(&self, purpose: &'static str, replaced: u64, dropped: u64) {
        if replaced + dropped == 0 {
            return;
        }
        self.replaced.fetch_add(replaced, Ordering::Relaxed);
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        for (cause, count) in [("headers", replaced), ("subject", dropped)] {
            counter!(metric::UNREADABLE_MESSAGES.name, "connection" => purpose, "cause" => cause)
                .increment(count);
        }
        // Anybody can send them: one line for many.
        let mut said = self.said.lock();
        if said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            let (headers, subjects) =
                (self.replaced.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed));
            tracing::warn!(
                event = "unreadable_messages",
                connection = purpose,
                headers,
                subjects,
                "somebody sends messages that no client can read; they are refused, and nobody else's are touched"
            );
        }
    }
}

/// Takes its client's connections for as long as it is there. What the client has sent by then still goes through: it ends when
/// the client does, or a little later.
#[derive(Debug)]
pub(super) struct Filter {
    address: SocketAddr,
    end: CancellationToken,
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Filter {
    /// Listens for a client, and connects it to one of `servers` each time that it comes.
    pub(super) async fn open(
        options: &NatsOptions,
        servers: Vec<ServerAddr>,
        purpose: &'static str,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let upstream = Arc::new(Upstream {
            servers: Mutex::new(servers),
            ca: options.ca.clone(),
            within: Duration::from_millis(options.connect_timeout_ms),
            purpose,
            counts: FilterCounts::default(),
        });
        let end = CancellationToken::new();
        tokio::spawn(serve(listener, upstream, end.clone()));
        Ok(Self { address, end })
    }

    /// Where the client finds it.
    pub(super) fn address(&self) -> String {
        format!("nats://{}", self.address)
    }
}

/// The servers, and what is known of them.
struct Upstream {
    servers: Mutex<Vec<ServerAddr>>,
    ca: Option<PathBuf>,
    within: Duration,
    purpose: &'static str,
    counts: FilterCounts,
}

async fn serve(listener: TcpListener, upstream: Arc<Upstream>, end: CancellationToken) {
    let mut pipes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if pipes.len() < PIPES_MAX => match accepted {
                Ok((client, _)) => drop(pipes.spawn(pipe(client, upstream.clone()))),
                // No file is to be had now.
                Err(error) => {
                    tracing::warn!(%error, "the client's connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = pipes.join_next(), if !pipes.is_empty() => {}
            () = end.cancelled() => break,
        }
    }
    drop(listener);
    let ended = async { while pipes.join_next().await.is_some() {} };
    if tokio::time::timeout(END_MAX, ended).await.is_err() {
        tracing::debug!(purpose = upstream.purpose, "a connection is cut off");
    }
}

/// Until either end is gone: then the other one goes too, and the client comes again.
async fn pipe(client: TcpStream, upstream: Arc<Upstream>) {
    let purpose = upstream.purpose;
    let server = match upstream.connect().await {
        Ok(server) => server,
        Err(error) => return tracing::warn!(purpose, %error, "no NATS server answers"),
    };
    if let Err(error) = through(client, server, &upstream).await {
        tracing::debug!(purpose, %error, "a connection ended");
    }
}

async fn through(client: TcpStream, server: Opened, upstream: &Upstream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server.stream);
    to_client.write_all(&server.info).await?;
    let up = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let down = async {
        let (mut frames, mut input, mut output) = (Frames::default(), server.rest, BytesMut::new());
        loop {
            let (replaced, dropped) = (frames.replaced, frames.dropped);
            frames.take(&mut input, &mut output).map_err(io::Error::other)?;
            upstream.counts.add(upstream.purpose, frames.replaced - replaced, frames.dropped - dropped);
            to_client.write_all_buf(&mut output).await?;
            input.reserve(PIECE_BYTES);
            if from_server.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// Bytes in both directions, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to a server.
struct Opened {
    stream: Box<dyn Stream>,
    /// Its first line, for the client.
    info: Vec<u8>,
    /// What came behind it.
    rest: BytesMut,
}

impl Upstream {
    /// To the first one that answers, beginning anywhere.
    async fn connect(&self) -> io::Result<Opened> {
        let mut servers = self.servers.lock().clone();
        fastrand::shuffle(&mut servers);
        let mut last = io::Error::other("no server is known");
        for server in servers {
            match tokio::time::timeout(self.within, self.connect_to(&server)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => last = error,
                Err(_) => {
                    let why = format!(
                        "{} does not answer within {:?}",
                        login::redacted(server.as_url_str()),
                        self.within
                    );
                    last = io::Error::new(io::ErrorKind::TimedOut, why);
                }
            }
        }
        Err(last)
    }

    async fn connect_to(&self, server: &ServerAddr) -> io::Result<Opened> {
        let mut stream = TcpStream::connect((server.host(), server.port())).await?;
        stream.set_nodelay(true)?;
        let mut rest = BytesMut::new();
        let line = loop {
            if let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
                break rest.split_to(end + 2);
            }
            if rest.len() > INFO_MAX_BYTES || stream.read_buf(&mut rest).await? == 0 {
                return Err(io::Error::other("no NATS server is there"));
            }
        };
        let info = line.strip_prefix(b"INFO ").and_then(|info| serde_json::from_slice::<Value>(info).ok());
        let Some(mut info) = info.filter(Value::is_object) else {
            return Err(io::Error::other("no NATS server is there"));
        };
        self.learn(&info);
        let encrypted = server.tls_required() || info["tls_required"] == true;
        // The way from here to the client is not: it does not leave this process's machine.
        info["tls_required"] = json!(false);
        info["tls_available"] = json!(false);
        let info = format!("INFO {info}\r\n").into_bytes();
        let stream: Box<dyn Stream> = match encrypted {
            true => Box::new(tls::encrypt(stream, server.host(), self.ca.clone()).await?),
            false => Box::new(stream),
        };
        Ok(Opened { stream, info, rest })
    }

    /// The other servers of its cluster.
    fn learn(&self, info: &Value) {
        let mut servers = self.servers.lock();
        for url in info["connect_urls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Ok(server) = url.parse::<ServerAddr>()
                && servers.len() < SERVERS_MAX
                && !servers.iter().any(|known| (known.host(), known.port()) == (server.host(), server.port()))
            {
                servers.push(server);
            }
        }
    }
}
