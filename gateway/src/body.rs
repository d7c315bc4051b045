//! Request bodies: read whole, within a size and a time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::EXPECT;
use retailflow_engine::wire::Code;
use tokio::time::timeout;

use crate::answer::Refusal;

/// Of a body that is too large so much is still read: closing a connection on a client that is sending can take the
/// answer away from it.
const DISCARD_MAX_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_MAX: Duration = Duration::from_secs(1);

/// Reads a body.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    max_bytes: usize,
    time: Duration,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > max_bytes as u64 {
        // A client that asks first has sent nothing yet.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(max_bytes));
    }
    match timeout(time, collect(&mut body, max_bytes)).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(Broken::TooLarge)) => {
            discard(body).await;
            Err(too_large(max_bytes))
        }
        Ok(Err(Broken::Cut)) => {
            let text = "the body did not arrive whole; send the request again";
            Err(Refusal::new(Code::MalformedJson, text).and_close())
        }
        Err(_) => Err(Refusal::new(Code::RequestTimeout, Code::RequestTimeout.meaning()).and_close()),
    }
}

enum Broken {
    TooLarge,
    Cut,
}

async fn collect(body: &mut Body, max_bytes: usize) -> Result<Bytes, Broken> {
    // Most bodies come in one piece, which is passed on without a copy.
    let mut first = Bytes::new();
    let mut more = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Broken::Cut)?.into_data() else { continue };
        if first.len() + more.len() + piece.len() > max_bytes {
            return Err(Broken::TooLarge);
        }
        if first.is_empty() && more.is_empty() {
            first = piece;
            continue;
        }
        if more.is_empty() {
            more.extend_from_slice(&std::mem::take(&mut first));
        }
        more.extend_from_slice(&piece);
    }
    Ok(if more.is_empty() { first } else { more.into() })
}

fn too_large(max_bytes: usize) -> Refusal {
    Refusal::new(Code::TooLarge, format!("at most {max_bytes} bytes are allowed")).and_close()
}

async fn discard(mut body: Body) {
    let read = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_MAX_BYTES {
                return;
            }
        }
    };
    // However it ends, the answer is the same.
    let _ = timeout(DISCARD_MAX, read).await;
}
