//! Dead letters, for operators: messages that belong to no order, in pages.
//!
//! A request reads so many letters at most, whoever's it looks for: it says how far it came, and the next one goes on there.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use retailflow_engine::keys::hex;
use retailflow_engine::ports::{DeadLetters, StoredDeadLetter};
use retailflow_engine::wire::admin::{LetterEntry, LetterList, LetterListSchema};
use retailflow_engine::wire::{Code, base64};
use tokio::time::{Instant, timeout_at};

use crate::answer::{Refusal, found};
use crate::edge::Shared;
use crate::headers;
use crate::limits::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::query::Query;
use crate::read_failure::timed_out;

/// Letters that one request looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Read at once.
const PIECE: usize = 256;
/// Of their bodies in one page, in bytes; one letter may go beyond it.
const PAGE_MAX_BYTES: usize = 4 << 20;
/// Of a tenant's name as a message had it, which need be no tenant's.
pub(crate) const TENANT_MAX_CHARS: usize = 512;
/// Stands for letters of no tenant; no tenant has this name.
const NO_TENANT: &str = "-";

/// `GET /v1/admin/dead-letters`
pub(crate) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["tenant", "after", "limit"])?;
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    let after = query.number("after", 0, u64::MAX)?.unwrap_or(0);
    let until = Instant::now() + headers::timeout(request.headers(), &shared.limits)?;
    let Some(letters) = shared.edge.dead_letters.clone() else {
        let text = "this node's dead letters are in a NATS stream: `retailflow dlq list --nats URL` reads them there";
        return Err(Refusal::new(Code::NotKeptHere, text));
    };
    let tenant = query.text("tenant");
    // Longer than any that a message was turned away for.
    if tenant.is_some_and(|tenant| tenant.chars().count() > TENANT_MAX_CHARS) {
        let text = format!("at most {TENANT_MAX_CHARS} characters");
        return Err(Refusal::new(Code::InvalidField, text).at("tenant"));
    }
    let page = Page { tenant: tenant.map(str::to_owned), limit };
    let read = timeout_at(until, page.read(letters.as_ref(), after)).await;
    Ok(found(&read.map_err(|_| timed_out())??))
}

struct Page {
    tenant: Option<String>,
    limit: usize,
}

impl Page {
    fn wants(&self, stored: &StoredDeadLetter) -> bool {
        let tenant = stored.letter.tenant.as_deref();
        self.tenant.as_deref().is_none_or(|wanted| wanted == tenant.unwrap_or(NO_TENANT))
    }

    async fn read(&self, letters: &dyn DeadLetters, mut after: u64) -> Result<LetterList, Refusal> {
        let (mut page, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        let cannot =
            |_| Refusal::new(Code::Unavailable, "the dead letters cannot be read now; ask again, later");
        let next = 'read: loop {
            let piece = letters.list(after, PIECE).await.map_err(cannot)?;
            if piece.is_empty() {
                break None;
            }
            for stored in piece {
                if page.len() == self.limit || bytes >= PAGE_MAX_BYTES || looked_at == LOOKED_AT_MAX {
                    break 'read Some(after);
                }
                (after, looked_at) = (stored.position, looked_at + 1);
                if self.wants(&stored) {
                    bytes += stored.letter.body.len();
                    page.push(entry(stored));
                }
            }
        };
        Ok(LetterList { schema: LetterListSchema, letters: page, next })
    }
}

fn entry(stored: StoredDeadLetter) -> LetterEntry {
    let StoredDeadLetter { position, letter } = stored;
    LetterEntry {
        position,
        key: hex(&letter.key),
        tenant: letter.tenant,
        origin: letter.origin,
        code: letter.code,
        reason: letter.reason,
        at: letter.at,
        length_bytes: letter.length_bytes,
        body_base64: base64::encode(&letter.body),
    }
}
