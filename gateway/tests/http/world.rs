//! A server of its own for each test, and a client that believes nothing: every answer must be one that the document
//! declares.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use retailflow_config::{Config, Http};
use retailflow_engine::ids::{PartitionId, TenantId};
use retailflow_engine::memory::{MemoryDeadLetters, MemoryTenants};
use retailflow_engine::ports::{DeadLetters, TenantSetting, Tenants};
use retailflow_gateway::{Counts, Edge, Options, Running, Server, TokenSecret, openapi};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};

use crate::fakes::{Copied, Door, Lists, Log, Ready, Relay, letter};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server and what stands behind it.
pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) door: Arc<Door>,
    pub(crate) lists: Arc<Lists>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) reasons: Arc<Mutex<Vec<String>>>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) hang: Arc<Mutex<Vec<PartitionId>>>,
}

pub(crate) fn local() -> Http {
    let free = "127.0.0.1:0".parse().unwrap();
    let host_names = "localhost,test".to_owned();
    Http { listen: free, admin_listen: free, host_names, ..Config::default().http }
}

pub(crate) struct Behind {
    pub(crate) edge: Edge,
    door: Arc<Door>,
    lists: Arc<Lists>,
    relay: Arc<Relay>,
    reasons: Arc<Mutex<Vec<String>>>,
    hang: Arc<Mutex<Vec<PartitionId>>>,
}

pub(crate) async fn behind() -> Behind {
    let tenants = MemoryTenants::default();
    for name in ["shop", "flood"] {
        let tenant = TenantId::parse(name).unwrap();
        let setting = TenantSetting::new(tenant);
        tenants.put(setting).await.unwrap();
    }
    let letters = MemoryDeadLetters::default();
    for number in 1..=5 {
        letters.put(letter(number)).await.unwrap();
    }
    let door = Arc::new(Door { asked: Mutex::default(), tried: Mutex::default(), gate: Semaphore::new(0) });
    let lists = Arc::new(Lists::default());
    let relay = Arc::new(Relay::default());
    let ready = Ready::default();
    let reasons = Arc::clone(&ready.reasons);
    let log = Log::new();
    let hang = Arc::clone(&log.hang);
    let edge = Edge {
        door: Arc::clone(&door) as _,
        views: Arc::clone(&lists) as _,
        relay: Arc::clone(&relay) as _,
        log: Arc::new(log),
        backup: Arc::new(Copied),
        snapshots: None,
        tenants: Arc::new(tenants),
        dead_letters: Some(Arc::new(letters)),
        readiness: Arc::new(ready),
        numbers: Arc::new(retailflow_gateway::Numbers::default),
        metrics: Arc::new(|| "up 1\nsent{tenant=\"shop\"} 1\n".to_owned()),
        counts: Arc::default(),
        token_secret: TokenSecret::derive(b"of all worlds"),
    };
    Behind { edge, door, lists, relay, reasons, hang }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Http)) -> Self {
        let mut config = local();
        change(&mut config);
        let Behind { edge, door, lists, relay, reasons, hang } = behind().await;
        let counts = Arc::clone(&edge.counts);
        let running = Server::start(config, edge, Options::default()).unwrap();
        Self { running, door, lists, relay, reasons, counts, hang }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], b"").await
    }

    /// A request to the tenants' door, on a connection of its own.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let reply = Client::connect(self.running.public_addr).await.call(method, path, headers, body).await;
        declared(openapi::PUBLIC, method, path, &reply);
        reply
    }

    /// The same to the operators' door.
    pub(crate) async fn admin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let reply = Client::connect(self.running.admin_addr).await.call(method, path, headers, body).await;
        declared(openapi::ADMIN, method, path, &reply);
        reply
    }

    /// A place command as bare data.
    pub(crate) async fn place(&self, id: &str, more: &[(&str, &str)]) -> Reply {
        let given = [TYPE, JSON, ("idempotency-key", id)];
        self.call("POST", COMMANDS, &[&given, more].concat(), PLACE.as_bytes()).await
    }
}

pub(crate) const COMMANDS: &str = "/v1/tenants/shop/orders/o-1/commands";
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const TYPE: (&str, &str) = ("ce-type", "retailflow.order.place.v1");
pub(crate) const PLACE: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;

/// Whether the document says that such an answer can come.
fn declared(document: openapi::Document, method: &str, path: &str, reply: &Reply) {
    static DOCUMENTS: LazyLock<[Value; 2]> = LazyLock::new(|| {
        [openapi::PUBLIC, openapi::ADMIN]
            .map(|document| serde_json::from_str(&openapi::text(document)).unwrap())
    });
    let document = &DOCUMENTS[usize::from(document.file == openapi::ADMIN.file)];
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        let same = wanted.by_ref().zip(given.by_ref()).all(|(w, g)| w.starts_with('{') || w == g);
        same && template.split('/').count() == path.split('/').count()
    };
    let paths = document["paths"].as_object().unwrap();
    let Some((_, operations)) = paths.iter().find(|(template, _)| fits(template)) else { return };
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let Some(operation) = operations.get(&method) else { return };
    let answer = &operation["responses"][reply.status.to_string()];
    assert!(answer.is_object(), "{method} {path} gave an undeclared {}: {}", reply.status, reply.text());
    if let Some(kind) = reply.header("content-type") {
        assert!(answer["content"][kind].is_object(), "{method} {path} {}: undeclared {kind}", reply.status);
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: hyper::HeaderMap,
    body: Bytes,
}

impl Reply {
    async fn whole(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body =
            timeout(PATIENCE, body.collect()).await.expect("a whole answer in time").unwrap().to_bytes();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Asserts that this is a problem with this code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert!(!self.text().contains("SECRET"), "{}", self.text());
        let _: retailflow_engine::wire::problem::Problem = serde_json::from_slice(&self.body).unwrap();
        problem
    }
}

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    pub(crate) async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Incoming> {
        self.begin_with(Request::builder().method(method).uri(path).header("host", "test"), headers, body)
            .await
    }

    async fn begin_with(
        &mut self,
        mut request: hyper::http::request::Builder,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Incoming> {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        timeout(PATIENCE, self.sender.send_request(request)).await.expect("an answer in time").unwrap()
    }

    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let response = self.begin(method, path, headers, body).await;
        Reply::whole(response).await
    }

    /// As [`Client::call`], of a request begun elsewhere.
    pub(crate) async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let response = self.begin_with(request, headers, body).await;
        Reply::whole(response).await
    }
}

/// Sends bytes as they are, and gives what comes until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("closed in time").unwrap();
    String::from_utf8(text).unwrap()
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let look = async {
        let mut looks = interval(Duration::from_millis(5));
        while !so().await {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"));
}
