//! Request bodies: read whole, within a size, a time, and a size of all bodies together.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::EXPECT;
use retailflow_engine::wire::Code;
use tokio::time::timeout;

use crate::answer::Refusal;
use crate::edge::Shared;

/// Of a body that is too large so much is still read: closing a connection on a client that is sending can take the
/// answer away from it.
const DISCARD_MAX_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(1);

/// A body, which counts among all that are held until it is dropped.
pub(crate) struct Held<'a> {
    bytes: Bytes,
    counted: usize,
    total: &'a AtomicUsize,
}

impl Deref for Held<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// Reads a body, within `time`.
pub(crate) async fn read<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    mut body: Body,
    time: Duration,
) -> Result<Held<'a>, Refusal> {
    let max_bytes = shared.limits.body_max_bytes;
    if body.size_hint().lower() > max_bytes as u64 {
        // A client that asks first has sent nothing yet.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(max_bytes));
    }
    match timeout(time, collect(shared, &mut body)).await {
        Ok(Ok(held)) => Ok(held),
        Ok(Err(Broken::TooLarge)) => {
            discard(body).await;
            Err(too_large(max_bytes))
        }
        Ok(Err(Broken::TooMany)) => {
            let text = "more is being received than the node can hold; send it again, later";
            Err(Refusal::new(Code::Overloaded, text).and_close())
        }
        Ok(Err(Broken::Cut)) => {
            let text = "the body did not arrive whole; send the request again";
            Err(Refusal::new(Code::MalformedJson, text).and_close())
        }
        Err(_) => Err(Refusal::new(Code::RequestTimeout, Code::RequestTimeout.meaning()).and_close()),
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

enum Broken {
    TooLarge,
    TooMany,
    Cut,
}

async fn collect<'a>(shared: &'a Shared, body: &mut Body) -> Result<Held<'a>, Broken> {
    let limits = &shared.limits;
    let mut held = Held { bytes: Bytes::new(), counted: 0, total: &shared.received };
    let mut more = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Broken::Cut)?.into_data() else { continue };
        held.counted += piece.len();
        let total = held.total.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        if held.counted > limits.body_max_bytes {
            return Err(Broken::TooLarge);
        }
        if total > limits.bodies_max_bytes {
            return Err(Broken::TooMany);
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
