//! Request bodies: read whole, within a size, a time, and a size of all bodies together.
//!
//! What is held is bounded in three ways, so that who sends much, or slowly, stops nobody who sends little:
//! - bodies of a few kilobytes, as most are, are taken whatever else is held: the number of connections bounds them;
//! - large ones have three quarters of the room together, and one tenant's a share of it; names that are no tenant's count as
//!   one, for anybody can make up any number of them;
//! - one that has grown beyond a few kilobytes brings so much in each moment, or ends.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::EXPECT;
use retailflow_config::Http;
use retailflow_engine::ids::TenantId;
use retailflow_engine::ports::Tenants;
use retailflow_engine::wire::Code;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Refusal;
use crate::shares::share_of;

/// Of a body that is too large so much is still read: closing a connection on a client that is sending can take the
/// answer away from it.
const DISCARD_MAX_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(1);
/// Larger bodies count as large.
const SMALL_MAX_BYTES: usize = 64 * 1024;
/// Up to this part of the room for all a body is taken whatever the others hold: 4 KiB of 64 MiB.
const TINY_PART: usize = 16 * 1024;
const TINY_MAX_BYTES: usize = 4 * 1024;
/// A body that is no longer tiny is looked at so often: whether it brought what it has to.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Room for the bodies of one door.
pub(crate) struct BodyBudget {
    each_max: usize,
    max: usize,
    tiny_max: usize,
    large_max: usize,
    tenant_max: usize,
    window_min_bytes: usize,
    held: AtomicUsize,
    large: Mutex<Large>,
}

/// Bytes of large bodies.
#[derive(Default)]
struct Large {
    all: usize,
    /// By tenant; none for names that are no tenant's.
    of: HashMap<Option<TenantId>, usize>,
}

impl BodyBudget {
    pub(crate) fn new(limits: &Http) -> Self {
        let (each_max, max) = (limits.body_max_bytes, limits.bodies_max_bytes);
        let tenant_max = share_of(max, limits.tenant_share_percent, each_max);
        Self {
            each_max,
            max,
            tiny_max: (max / TINY_PART).min(TINY_MAX_BYTES),
            large_max: share_of(max, 75, tenant_max),
            tenant_max,
            window_min_bytes: limits.body_min_bytes_per_s.saturating_mul(RATE_WINDOW.as_secs() as usize),
            held: AtomicUsize::new(0),
            large: Mutex::default(),
        }
    }

    /// Operators send little, and have a quarter of the room for themselves.
    pub(crate) fn of_operators(limits: &Http) -> Self {
        let max = share_of(limits.bodies_max_bytes, 25, limits.body_max_bytes);
        let limits = Http { bodies_max_bytes: max, tenant_share_percent: 100, ..limits.clone() };
        Self::new(&limits)
    }

    fn large(&self) -> std::sync::MutexGuard<'_, Large> {
        // A panic leaves nothing half done here.
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose a body is.
#[derive(Clone, Copy)]
pub(crate) struct BodyOwner<'a> {
    pub(crate) tenants: &'a dyn Tenants,
    pub(crate) tenant: &'a TenantId,
}

/// A body, which counts among all that are held until it is dropped.
pub(crate) struct CountedBody<'a> {
    bytes: Bytes,
    counted: usize,
    room: &'a BodyBudget,
    /// Under what its bytes count among the large ones.
    large: Option<Option<TenantId>>,
}

impl Deref for CountedBody<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for CountedBody<'_> {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.counted, Ordering::Relaxed);
        if let Some(key) = &self.large {
            let mut large = self.room.large();
            large.all -= self.counted;
            if let Some(own) = large.of.get_mut(key) {
                *own -= self.counted;
                if *own == 0 {
                    large.of.remove(key);
                }
            }
        }
    }
}

impl CountedBody<'_> {
    /// Counts bytes that have come. What does not fit is counted, too, until the body is dropped.
    fn count(&mut self, bytes: usize, owner: BodyOwner<'_>) -> Result<(), BodyError> {
        let room = self.room;
        self.counted += bytes;
        let all = room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut fits = self.counted <= room.tiny_max || all <= room.max;
        if self.counted > SMALL_MAX_BYTES {
            let (added, key) = match self.large.take() {
                Some(key) => (bytes, key),
                None => (self.counted, owner.tenants.get(owner.tenant).map(|_| owner.tenant.clone())),
            };
            let mut large = room.large();
            large.all += added;
            let own = large.of.entry(key.clone()).or_default();
            *own += added;
            fits &= *own <= room.tenant_max;
            fits &= large.all <= room.large_max;
            self.large = Some(key);
        }
        if self.counted > room.each_max {
            return Err(BodyError::TooLarge);
        }
        if fits { Ok(()) } else { Err(BodyError::TooMany) }
    }
}

/// Reads a body, within `time`.
pub(crate) async fn read<'a>(
    room: &'a BodyBudget,
    owner: BodyOwner<'_>,
    headers: &HeaderMap,
    mut body: Body,
    time: Duration,
) -> Result<CountedBody<'a>, Refusal> {
    let max_bytes = room.each_max;
    if body.size_hint().lower() > max_bytes as u64 {
        // A client that asks first has sent nothing yet.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(max_bytes));
    }
    match timeout(time, collect(room, owner, &mut body)).await {
        Ok(Ok(held)) => Ok(held),
        Ok(Err(BodyError::TooLarge)) => {
            discard(body).await;
            Err(too_large(max_bytes))
        }
        Ok(Err(BodyError::TooMany)) => {
            let text = "more is being received than the node can hold; send it again, later";
            Err(Refusal::new(Code::Overloaded, text).and_close())
        }
        Ok(Err(BodyError::Cut)) => {
            let text = "the body did not arrive whole; send the request again";
            Err(Refusal::new(Code::MalformedJson, text).and_close())
        }
        Ok(Err(BodyError::Slow)) | Err(_) => {
            Err(Refusal::new(Code::RequestTimeout, Code::RequestTimeout.meaning()).and_close())
        }
    }
}

/// Reads what a refused request still sends, so that its client comes to read the answer. What goes on and on is cut off
/// with the answer.
pub(crate) async fn refuse(headers: &HeaderMap, body: Body, refusal: Refusal) -> Refusal {
    if body.is_end_stream() {
        return refusal;
    }
    // A client that asks first has sent nothing yet, and will not.
    if headers.contains_key(EXPECT) || !discard(body).await {
        return refusal.and_close();
    }
    refusal
}

fn too_large(max_bytes: usize) -> Refusal {
    Refusal::new(Code::TooLarge, format!("at most {max_bytes} bytes are allowed")).and_close()
}

enum BodyError {
    TooLarge,
    TooMany,
    Cut,
    Slow,
}

async fn collect<'a>(
    room: &'a BodyBudget,
    owner: BodyOwner<'_>,
    body: &mut Body,
) -> Result<CountedBody<'a>, BodyError> {
    let mut held = CountedBody { bytes: Bytes::new(), counted: 0, room, large: None };
    let mut more = Vec::new();
    // Where the moment began in which something has to come, and what has come in it.
    let mut window: Option<(Instant, usize)> = None;
    loop {
        let frame = match window {
            Some((begun, _)) => {
                timeout_at(begun + RATE_WINDOW, body.frame()).await.map_err(|_| BodyError::Slow)?
            }
            None => body.frame().await,
        };
        let Some(frame) = frame else { break };
        let Ok(piece) = frame.map_err(|_| BodyError::Cut)?.into_data() else { continue };
        held.count(piece.len(), owner)?;
        if held.counted > room.tiny_max && room.window_min_bytes > 0 {
            let (begun, came) = window.unwrap_or_else(|| (Instant::now(), 0));
            let came = came + piece.len();
            window = Some(if came >= room.window_min_bytes { (Instant::now(), 0) } else { (begun, came) });
        }
        // Most bodies come in one piece, which is passed on without a copy.
        if held.bytes.is_empty() && more.is_empty() {
            held.bytes = piece;
            continue;
        }
        if more.is_empty() {
            more.extend_from_slice(&std::mem::take(&mut held.bytes));
        }
        more.extend_from_slice(&piece);
    }
    if !more.is_empty() {
        held.bytes = more.into();
    }
    Ok(held)
}

/// Whether it came to its end.
async fn discard(mut body: Body) -> bool {
    let read = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_MAX_BYTES {
                return false;
            }
        }
        body.is_end_stream()
    };
    timeout(DISCARD_MAX, read).await.unwrap_or(false)
}
