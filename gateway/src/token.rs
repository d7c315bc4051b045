//! Tokens: places in the log and in its lists, as callers hold them.
//!
//! Invariants:
//! - A token says nothing: not where it points, not into which log, not how much others have written meanwhile. Two tokens
//!   of one position look unlike each other; only an event's own token is the same each time that it is given.
//! - A token is taken only as what it was given as, and by whom: the kind and the tenant are authenticated with it.
//! - What is not a token of ours is refused here, before any port sees it, and no log line is written for it.
//!
//! A token is base64url (RFC 4648 section 5, no padding) of: version (1 byte), salt (16 bytes), ciphertext, tag (16 bytes).
//! Each has a key of its own, HMAC-SHA256 of the salt under the log's secret, so that the number of tokens needs no bound;
//! under it ChaCha20-Poly1305 (RFC 8439). The salt is random, or for an event's own token a hash of what is sealed under
//! another key (as SIV modes have it). All are `ring`'s.

use std::fmt;

use retailflow_engine::ids::TenantId;
use retailflow_engine::keys::sha256;
use retailflow_engine::wire::{Code, base64};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::answer::Refusal;

/// Longest token that is looked at, in characters: ours are shorter.
pub(crate) const TOKEN_MAX_CHARS: usize = 512;

/// The newest version written and read.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + SALT_BYTES;

/// Places are filled up to a multiple of this, so that a token's length does not tell how far its place is.
const PAD_TO_BYTES: usize = 32;
/// No place ends with it: places are text.
const PADDING: u8 = 0;

/// What tokens are authenticated and encrypted with. All that serve one log have the same, and nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// From a secret that is kept with the log; of any length, at least 16 random bytes.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(sha256(&[b"retailflow http tokens\0", secret].concat()))
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// What a token is for. Frozen: the numbers are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TokenKind {
    /// How far the log is written, or a list has read.
    Position = 1,
    /// Where a list's next page begins.
    Page = 2,
    /// An event of a stream.
    Event = 3,
}

/// Makes tokens, and takes them back.
pub(crate) struct Tokens {
    secret: hmac::Key,
    salts: hmac::Key,
    random: SystemRandom,
}

impl Tokens {
    pub(crate) fn new(secret: &TokenSecret) -> Self {
        let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        let salts = sha256(&[b"salts of events' tokens\0", &secret.0[..]].concat());
        Self { secret: key(&secret.0), salts: key(&salts), random: SystemRandom::new() }
    }

    /// A token for a place; `None` when the system gives no random bytes.
    pub(crate) fn seal(&self, kind: TokenKind, tenant: &TenantId, place: &str) -> Option<String> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt).ok()?;
        self.seal_with(salt, kind, tenant, place)
    }

    /// An event's own token: the same each time, so that readers may know events by it.
    pub(crate) fn seal_event(&self, tenant: &TenantId, place: &str) -> Option<String> {
        // A tenant's name has no zero byte: what is hashed is said in one way only.
        let salt = hmac::sign(&self.salts, &[tenant.as_str().as_bytes(), b"\0", place.as_bytes()].concat());
        self.seal_with(*salt.as_ref().first_chunk()?, TokenKind::Event, tenant, place)
    }

    fn seal_with(
        &self,
        salt: [u8; SALT_BYTES],
        kind: TokenKind,
        tenant: &TenantId,
        place: &str,
    ) -> Option<String> {
        let mut token = Vec::with_capacity(HEADER_BYTES + place.len() + PAD_TO_BYTES + TAG_BYTES);
        token.push(VERSION);
        token.extend_from_slice(&salt);
        token.extend_from_slice(place.as_bytes());
        token.resize(HEADER_BYTES + place.len().next_multiple_of(PAD_TO_BYTES), PADDING);
        let (header, place) = token.split_at_mut(HEADER_BYTES);
        let aad = bound_to(kind, tenant);
        let tag = self.key(header)?.seal_in_place_separate_tag(once(), Aad::from(aad), place).ok()?;
        token.extend_from_slice(tag.as_ref());
        Some(base64::encode_url(&token))
    }

    /// The place that a token was made for.
    ///
    /// # Errors
    /// [`Code::InvalidToken`], the same for all that is wrong with it: whoever forges learns nothing.
    pub(crate) fn open(&self, kind: TokenKind, tenant: &TenantId, token: &str) -> Result<String, Refusal> {
        self.opened(kind, tenant, token).ok_or_else(invalid)
    }

    fn opened(&self, kind: TokenKind, tenant: &TenantId, token: &str) -> Option<String> {
        let mut bytes = decoded(token)?;
        let (header, sealed) = bytes.split_at_mut_checked(HEADER_BYTES)?;
        if header.first() != Some(&VERSION) {
            return None;
        }
        let place =
            self.key(header)?.open_in_place(once(), Aad::from(bound_to(kind, tenant)), sealed).ok()?;
        let place = std::str::from_utf8(place).ok()?;
        Some(place.trim_end_matches(char::from(PADDING)).to_owned())
    }

    /// The key of the one token that begins so.
    fn key(&self, header: &[u8]) -> Option<LessSafeKey> {
        let key = hmac::sign(&self.secret, header);
        UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).ok().map(LessSafeKey::new)
    }
}

/// Each key is used for one token: so its nonce may be any.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn decoded(token: &str) -> Option<Vec<u8>> {
    if token.len() > TOKEN_MAX_CHARS {
        return None;
    }
    base64::decode_url(token)
}

fn bound_to(kind: TokenKind, tenant: &TenantId) -> Vec<u8> {
    [&[kind as u8], tenant.as_str().as_bytes()].concat()
}

pub(crate) fn invalid() -> Refusal {
    Refusal::new(Code::InvalidToken, "the token is not valid here; begin without it")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [TokenKind; 3] = [TokenKind::Position, TokenKind::Page, TokenKind::Event];

    fn tokens(secret: &[u8]) -> Tokens {
        Tokens::new(&TokenSecret::derive(secret))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn a_token_is_taken_back_as_what_it_was_given_as_and_by_whom_and_after_a_restart() {
        let (mine, shop) = (tokens(b"secret"), tenant("shop"));
        for place in ["", "p-9", &"A".repeat(52), &"z".repeat(200)] {
            for kind in KINDS {
                let token = mine.seal(kind, &shop, place).unwrap();
                assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{token}");
                assert!(token.len() <= TOKEN_MAX_CHARS, "{token}");
                assert_eq!(tokens(b"secret").open(kind, &shop, &token).unwrap(), place);
                for other in KINDS.into_iter().filter(|other| *other != kind) {
                    assert!(mine.open(other, &shop, &token).is_err(), "{kind:?} as {other:?}");
                }
                for other in ["sho", "shop2", "flood"] {
                    assert!(mine.open(kind, &tenant(other), &token).is_err(), "{other}'s");
                }
                assert!(tokens(b"another").open(kind, &shop, &token).is_err());
            }
        }
    }

    #[test]
    fn a_token_does_not_tell_its_place() {
        let (tokens, shop) = (tokens(b"secret"), tenant("shop"));
        let seal = |place: &str| tokens.seal(TokenKind::Position, &shop, place).unwrap();
        let near = seal("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(near.len(), seal(&"B".repeat(52)).len(), "nor by its length");
        assert!(!decoded(&near).unwrap().windows(4).any(|bytes| bytes == b"AAAA"));
        assert_ne!(seal("here"), seal("here"), "nor that nothing was written since the last one");
    }

    #[test]
    fn what_is_no_token_is_refused_with_one_code() {
        let (tokens, shop) = (tokens(b"secret"), tenant("shop"));
        let token = tokens.seal(TokenKind::Event, &shop, "here").unwrap();
        let mut bad: Vec<String> =
            ["", "=", "not a token", "\u{e9}", &format!("{token}="), &format!("{token}\n")]
                .map(str::to_owned)
                .into();
        bad.extend((0..token.len()).map(|at| token[..at].to_owned()));
        bad.push("A".repeat(5000));
        let mut random = fastrand::Rng::with_seed(14);
        let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(['-', '_']).collect();
        for _ in 0..20_000 {
            let mut changed: Vec<char> = token.chars().collect();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..changed.len());
                match random.u8(..3) {
                    0 => changed[at] = alphabet[random.usize(..alphabet.len())],
                    1 => changed.insert(at, random.char(..)),
                    _ => drop(changed.remove(at)),
                }
            }
            bad.push(changed.into_iter().collect());
            let length = random.usize(..TOKEN_MAX_CHARS);
            bad.push((0..length).map(|_| alphabet[random.usize(..alphabet.len())]).collect());
        }
        for bad in bad.iter().filter(|bad| **bad != token) {
            let refusal = tokens.open(TokenKind::Event, &shop, bad).unwrap_err();
            assert_eq!(refusal.outcome().code, Code::InvalidToken, "{bad:?}");
        }
    }

    #[test]
    fn an_events_own_token_is_the_same_each_time() {
        let tokens = tokens(b"secret");
        let seal = |name: &str, place: &str| tokens.seal_event(&tenant(name), place).unwrap();
        assert_eq!(seal("shop", "here"), seal("shop", "here"));
        assert_ne!(seal("shop", "here")[..24], seal("flood", "here")[..24], "each has a key of its own");
        assert_ne!(seal("shop", "here")[..24], seal("shop", "there")[..24]);
        let given = seal("shop", "here");
        assert_eq!(tokens.open(TokenKind::Event, &tenant("shop"), &given).unwrap(), "here");
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", TokenSecret([7; 32])), "TokenSecret(..)");
    }
}
