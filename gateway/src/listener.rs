//! One address: accepts connections up to a number, serves HTTP/1.1 on each, and ends in order.
//!
//! HTTP/2 is not spoken: clients are services that keep connections, and one request a connection bounds memory plainly.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use retailflow_engine::wire::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::answer::{Refusal, written_out as written};
use crate::command::TRACEPARENT;
use crate::conn::Guarded;
use crate::connections::{Connection, ConnectionGuard, Connections};
use crate::edge::{Open, Shared};
use crate::route::Route;
use crate::{body, framing, headers};

/// Connections that the system keeps for us before they are accepted.
const BACKLOG: u32 = 4096;

/// How long an accept that failed for want of files or memory waits before the next one.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Refused connections that are told so at the same time; further ones are closed without a word.
const REFUSALS_MAX: usize = 256;
/// Newcomers that wait for a connection that gives way, at the same time.
const AWAITING_MAX: usize = 64;
/// How long the newcomer waits for a connection that gives way to it.
const GIVE_WAY_MAX: Duration = Duration::from_millis(500);
/// How long a refused client has to hear of it.
const REFUSAL_MAX: Duration = Duration::from_millis(500);

/// What a connection beyond the greatest number gets, whatever it was going to ask.
fn full() -> Bytes {
    let message = "as many connections as the node can take are open; come again, later";
    written(Code::Overloaded, message, "Retry-After: 1\r\n")
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
            connections: Connections::new(connections_max, shared.limits.address_share_percent),
            awaiting: Arc::new(Semaphore::new(AWAITING_MAX)),
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

#[derive(Clone)]
struct Accepting {
    shared: Arc<Shared>,
    router: Router,
    connections: Arc<Connections>,
    awaiting: Arc<Semaphore>,
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
                Ok((stream, from)) => {
                    failing = false;
                    self.take(stream, from.ip());
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

    fn take(&self, stream: TcpStream, from: IpAddr) {
        // An address of a client over IPv6 is as good as any of its network's.
        let from = neighborhood(from);
        if let Some(taken) = self.connections.try_take(from) {
            self.serving.tasks.spawn(self.served(stream, taken));
            return;
        }
        // Those for whom another one leaves wait apart from those who are refused: a crowd of these does not keep them out.
        let awaited = self.connections.make_room(from);
        let told = if awaited { &self.awaiting } else { &self.refusing };
        let Ok(permit) = Arc::clone(told).try_acquire_owned() else {
            self.shared.edge.counts.connection_refused();
            return;
        };
        let (accepting, connections) = (self.clone(), Arc::clone(&self.connections));
        self.serving.tasks.spawn(async move {
            if awaited && let Ok(Some(taken)) = timeout(GIVE_WAY_MAX, connections.take(from)).await {
                drop(permit);
                accepting.served(stream, taken).await;
                return;
            }
            accepting.shared.edge.counts.connection_refused();
            // Whether the client hears it or not, it is closed.
            let _ = timeout(REFUSAL_MAX, refuse(stream, &accepting.full)).await;
            drop(permit);
        });
    }

    fn served(&self, stream: TcpStream, taken: ConnectionGuard) -> impl Future<Output = ()> + Send + 'static {
        let open = Open::connection(&self.shared.edge.counts);
        let answering = Answering {
            shared: Arc::clone(&self.shared),
            router: self.router.clone(),
            own_machine: self.own_machine,
            connection: Arc::clone(&taken.connection),
        };
        let connection = serve(stream, answering, self.serving.child());
        async move {
            connection.await;
            drop((taken, open));
        }
    }
}

impl Serving {
    /// Tokens of a connection's own: on one token, all connections would meet at one lock each time they wake.
    fn child(&self) -> (CancellationToken, CancellationToken) {
        (self.stop.child_token(), self.cut.child_token())
    }
}

/// What counts as one address: of IPv6, a client has a whole network.
fn neighborhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
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
    connection: Arc<Connection>,
}

impl Answering {
    async fn answer(&self, route: Route, mut request: Request<Incoming>) -> Response {
        let _busy = self.connection.busy();
        // Only what goes on after its answer has begun needs to say so.
        if matches!(route, Route::Events | Route::Admin) {
            request.extensions_mut().insert(Arc::clone(&self.connection));
        }
        let mut checked = framing::check(request.version(), request.headers(), self.connection.ambiguous());
        if self.own_machine && checked.is_ok() {
            checked = self.shared.host_names.check(request.uri(), request.headers());
        }
        if let Err(refusal) = checked {
            let (parts, body) = request.into_parts();
            return body::refuse(&parts.headers, Body::new(body), refusal).await.and_close().into_response();
        }
        let Ok(response) = self.router.clone().oneshot(request.map(Body::new)).await;
        response
    }
}

async fn serve(stream: TcpStream, answering: Answering, (stop, cut): (CancellationToken, CancellationToken)) {
    // Without it, answers wait for more to send. That it could not be set costs time, nothing else.
    let _ = stream.set_nodelay(true);
    let limits = &answering.shared.limits;
    let (write, head) = (limits.write_timeout_ms, limits.header_timeout_ms);
    let io = Guarded::new(
        stream,
        Duration::from_millis(write),
        Duration::from_millis(head),
        &answering.connection,
    );
    let service = service_fn(|request: Request<Incoming>| answer(&answering, request));
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // Counts from the answer before, and so ends connections that are idle. A head that has begun has less time: see `conn`.
        .header_read_timeout(Duration::from_millis(limits.idle_timeout_ms.max(head)))
        // Without `pipeline_flush`: with it, hyper takes a stream's body into memory without end while the client does not
        // read, and keeps back the answer to what is no request.
        .max_buf_size(limits.header_max_bytes)
        // The size of the buffer alone lets in what came with its last read.
        .max_header_size(limits.header_max_bytes)
        .serve_connection(TokioIo::new(io), service);
    let mut http = std::pin::pin!(http);
    let (connection, mut leaves) = (&answering.connection, false);
    // How a connection ends is the client's affair: what went wrong with a request, its answer says.
    loop {
        tokio::select! {
            _ = http.as_mut() => return,
            () = stop.cancelled() => {
                http.as_mut().graceful_shutdown();
                break;
            }
            // A request that came in the meantime is answered first; then it goes.
            () = connection.give_way.cancelled(), if !leaves => {
                if connection.is_idle() {
                    return;
                }
                http.as_mut().graceful_shutdown();
                leaves = true;
            }
        }
    }
    tokio::select! {
        _ = http => {}
        () = cut.cancelled() => {}
    }
}

/// One request. A handler that panics is answered for, and takes nothing along.
async fn answer(answering: &Answering, request: Request<Incoming>) -> Result<Response, Infallible> {
    let counts = &answering.shared.edge.counts;
    let route = Route::of(request.uri());
    let traceparent = traceparent(request.headers());
    let mut response = match AssertUnwindSafe(answering.answer(route, request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            counts.panicked();
            // What it says may be a customer's: the process's own hook decides what becomes of that.
            tracing::error!(event = "handler_panicked", "the handler of a request panicked");
            Refusal::internal().and_close().into_response()
        }
    };
    if let Some(traceparent) = traceparent {
        response.headers_mut().entry(TRACEPARENT).or_insert(traceparent);
    }
    // What is answered is about customers, or of this moment: nobody in between keeps it, and no browser guesses what it is.
    for (name, value) in [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    counts.response(route, response.status().as_u16());
    Ok(response)
}

fn traceparent(asked: &HeaderMap) -> Option<HeaderValue> {
    let value = asked.get(TRACEPARENT)?;
    headers::trace(asked).traceparent.map(|_| value.clone())
}
