//! One address: accepts connections up to a number, serves HTTP/1.1 on each, and ends in order.
//!
//! HTTP/2 is not spoken: clients are services that keep connections, and one request a connection bounds memory plainly.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use retailflow_engine::wire::problem::{PROBLEM_MEDIA_TYPE, Problem};
use retailflow_engine::wire::{Code, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::answer::Refusal;
use crate::command::TRACEPARENT;
use crate::conn::Guarded;
use crate::edge::{Open, Shared};
use crate::headers;
use crate::route::Route;

/// Connections that the system keeps for us before they are accepted.
const BACKLOG: u32 = 4096;

/// How long an accept that failed for want of files or memory waits before the next one.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Refused connections that are told so at the same time; further ones are closed without a word.
const REFUSALS_MAX: usize = 256;
/// How long a refused client has to hear of it.
const REFUSAL_MAX: Duration = Duration::from_millis(500);

/// What a connection beyond the greatest number gets, whatever it was going to ask.
fn full() -> Bytes {
    let message = "as many connections as the node can take are open; come again, later";
    let problem = Problem::from(Outcome::unaddressed(Code::Overloaded, message));
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let length = body.len();
    let head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type:";
    Bytes::from(format!("{head} {PROBLEM_MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

/// An address that is listened on.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    socket: TcpListener,
}

impl Listener {
    /// Takes an address.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A process started anew must not wait until the connections of the last one are forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// Begins to serve.
    pub(crate) fn serve(self, shared: &Arc<Shared>, router: Router, connections_max: usize) -> Serving {
        let serving = Serving {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let accepting = Accepting {
            shared: Arc::clone(shared),
            router,
            room: Arc::new(Semaphore::new(connections_max)),
            refusing: Arc::new(Semaphore::new(REFUSALS_MAX)),
            full: full(),
            own_machine: self.address.ip().is_loopback(),
            serving: serving.clone(),
        };
        serving.tasks.spawn(accepting.run(self.socket));
        serving
    }
}

/// What goes on at an address, and how it is ended.
#[derive(Clone)]
pub(crate) struct Serving {
    tasks: TaskTracker,
    /// Nothing more is accepted, and answers are the last of their connections.
    pub(crate) stop: CancellationToken,
    /// All connections end at once.
    pub(crate) cut: CancellationToken,
}

impl Serving {
    /// Stops, gives answers under way their time, and cuts the rest. Says how many were cut.
    pub(crate) async fn end(&self, time: Duration) -> usize {
        self.stop.cancel();
        self.tasks.close();
        let left = match timeout(time, self.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => self.tasks.len(),
        };
        self.cut.cancel();
        self.tasks.wait().await;
        left
    }
}

struct Accepting {
    shared: Arc<Shared>,
    router: Router,
    room: Arc<Semaphore>,
    refusing: Arc<Semaphore>,
    full: Bytes,
    /// Only this machine reaches the address: browsers on it must not be led here.
    own_machine: bool,
    serving: Serving,
}

impl Accepting {
    async fn run(self, socket: TcpListener) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.serving.stop.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    failing = false;
                    self.take(stream);
                }
                // The client has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    failing = true;
                    tokio::select! {
                        () = self.serving.stop.cancelled() => return,
                        () = sleep(ACCEPT_RETRY) => {}
                    }
                }
            }
        }
    }

    fn take(&self, stream: TcpStream) {
        let counts = &self.shared.edge.counts;
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            counts.connection_refused();
            if let Ok(permit) = Arc::clone(&self.refusing).try_acquire_owned() {
                let full = self.full.clone();
                self.serving.tasks.spawn(async move {
                    // Whether the client hears it or not, it is closed.
                    let _ = timeout(REFUSAL_MAX, refuse(stream, &full)).await;
                    drop(permit);
                });
            }
            return;
        };
        let open = Open::connection(counts);
        let answering = Answering {
            shared: Arc::clone(&self.shared),
            router: self.router.clone(),
            own_machine: self.own_machine,
        };
        let connection = serve(stream, answering, self.serving.child());
        self.serving.tasks.spawn(async move {
            connection.await;
            drop((permit, open));
        });
    }
}

impl Serving {
    /// Tokens of a connection's own: on one token, all connections would meet at one lock each time they wake.
    fn child(&self) -> (CancellationToken, CancellationToken) {
        (self.stop.child_token(), self.cut.child_token())
    }
}

/// Says that there is no room, and reads until the client has closed: a socket closed on unread bytes is reset, and
/// the answer lost.
async fn refuse(mut stream: TcpStream, full: &[u8]) -> io::Result<()> {
    stream.write_all(full).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// What the requests of a connection are answered by.
struct Answering {
    shared: Arc<Shared>,
    router: Router,
    own_machine: bool,
}

impl Answering {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        if self.own_machine
            && let Err(refusal) = self.shared.host_names.check(request.headers())
        {
            return refusal.and_close().into_response();
        }
        let Ok(response) = self.router.clone().oneshot(request.map(Body::new)).await;
        response
    }
}

async fn serve(stream: TcpStream, answering: Answering, (stop, cut): (CancellationToken, CancellationToken)) {
    // Without it, answers wait for more to send. That it could not be set costs time, nothing else.
    let _ = stream.set_nodelay(true);
    let limits = &answering.shared.limits;
    let io = Guarded::new(stream, Duration::from_millis(limits.write_timeout_ms));
    let service = service_fn(|request: Request<Incoming>| answer(&answering, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Counts from the answer before, too: it also ends connections that are idle.
        .header_read_timeout(Duration::from_millis(limits.header_timeout_ms))
        // Without `pipeline_flush`: with it, hyper takes a stream's body into memory without end while the client does not
        // read, and keeps back the answer to what is no request.
        .max_buf_size(limits.header_max_bytes)
        // The size of the buffer alone lets in what came with its last read.
        .max_header_size(limits.header_max_bytes)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the client's affair: what went wrong with a request, its answer says.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = cut.cancelled() => {}
    }
}

/// One request. A handler that panics is answered for, and takes nothing along.
async fn answer(answering: &Answering, request: Request<Incoming>) -> Result<Response, Infallible> {
    let counts = &answering.shared.edge.counts;
    let route = Route::of(request.uri());
    let traceparent = traceparent(request.headers());
    let mut response = match AssertUnwindSafe(answering.answer(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            counts.panicked();
            // What it says may be a customer's: the process's own hook decides what becomes of that.
            tracing::error!("the handler of a request panicked");
            Refusal::internal().and_close().into_response()
        }
    };
    if let Some(traceparent) = traceparent {
        response.headers_mut().entry(TRACEPARENT).or_insert(traceparent);
    }
    counts.response(route, response.status().as_u16());
    Ok(response)
}

fn traceparent(asked: &HeaderMap) -> Option<HeaderValue> {
    let value = asked.get(TRACEPARENT)?;
    headers::trace(asked).traceparent.map(|_| value.clone())
}
