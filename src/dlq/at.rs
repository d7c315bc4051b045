//! `retailflow dlq` at a server's door for operators.

use retailflow_engine::ports::{DeadLetter, StoredDeadLetter};
use retailflow_engine::wire::admin::{LetterEntry, LetterList};
use retailflow_engine::wire::base64;

use crate::client::Client;
use crate::dlq::letters::{Found, Seen, Wanted};
use retailflow_server::exit::Failure;

/// Of one page, at most.
const PAGE: usize = 1000;

/// The letters of a node. It keeps no marks.
pub(crate) fn list(client: &Client, wanted: &Wanted<'_>) -> Result<Found, Failure> {
    let tenant = match wanted.tenant {
        Some(tenant) => format!("&tenant={}", encoded(tenant)),
        None => String::new(),
    };
    let (mut letters, mut after): (Vec<Seen>, _) = (Vec::new(), wanted.after);
    loop {
        // One more tells whether there are more.
        let limit = PAGE.min(wanted.limit.saturating_add(1) - letters.len());
        let answer = client.get(&format!("/v1/admin/dead-letters?limit={limit}&after={after}{tenant}"))?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let page: LetterList = answer.read()?;
        for entry in page.letters {
            if letters.len() == wanted.limit {
                let more_after = letters.last().map(|last| last.stored.position);
                return Ok(Found { letters, more_after });
            }
            letters.push(seen(entry)?);
        }
        match page.next.filter(|next| *next > after) {
            Some(next) => after = next,
            None => return Ok(Found { letters, more_after: None }),
        }
    }
}

/// A tenant as a letter says it may be any text.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn seen(entry: LetterEntry) -> Result<Seen, Failure> {
    let odd = || Failure::unreachable("the server gives a letter in a form that this program does not know");
    let LetterEntry { position, key, tenant, origin, code, reason, at, length_bytes, body_base64 } = entry;
    let key = u128::from_str_radix(&key, 16).map_err(|_| odd())?.to_be_bytes();
    let body = base64::decode(&body_base64).ok_or_else(odd)?;
    let letter = DeadLetter { key, tenant, origin, code, reason, body, length_bytes, at };
    Ok(Seen { stored: StoredDeadLetter { position, letter }, marks: Vec::new() })
}
