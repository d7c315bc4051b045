//! Frozen derivations: where an order lives, what a step's participants are told, how records chain.
//!
//! Every function here is pinned by vectors in `engine/golden/keys.json`. Changing one would send an order to
//! another partition, charge a card twice, or make an honest log look forged.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::ids::{CommandKey, OrderRef, PartitionId};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// What stands where there is no predecessor: the start of a chain.
pub const GENESIS: Hash = [0; 32];

/// The name under which [`partition_of`] is stored in the first record of each log.
pub const PARTITION_HASH_NAME: &str = "fnv1a32(tenant+order)%P";

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The partition of an order among `partitions`: FNV-1a (32 bit) over the tenant's bytes followed by the
/// order's, modulo P. It is what the NATS server computes for the subject transform `partition(P,1,2)`, so that
/// the server and the engine agree without talking.
///
/// `partitions` of zero counts as one.
#[must_use]
pub fn partition_of(order: &OrderRef, partitions: u16) -> PartitionId {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in order.tenant.as_str().bytes().chain(order.order.as_str().bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let partition = hash % u32::from(partitions.max(1));
    PartitionId(u16::try_from(partition).unwrap_or_default())
}

/// A 128-bit name of an order for indexes. Not reversible: the record it leads to carries the real name,
/// and a reader compares it.
#[must_use]
pub fn order_key(order: &OrderRef) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(order.tenant.as_str());
    hasher.update([0]);
    hasher.update(order.order.as_str());
    first(&hasher.finalize().into())
}

/// A 64-bit fingerprint of a command's identity: a filter for ids that have left an order's memory. A hit is
/// looked up in the log; a miss is certain.
#[must_use]
pub fn command_fingerprint(key: &CommandKey) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(key.source.as_str());
    hasher.update([0]);
    hasher.update(key.id.as_str());
    u64::from_le_bytes(first(&hasher.finalize().into()))
}

/// 128 bits that stand for some text among texts of the same `kind`, under a secret: nobody who does not know it can make
/// two texts agree. Not stored anywhere, and so not frozen. No part may hold a zero byte.
#[must_use]
pub fn keyed_name(secret: &[u8; 16], kind: u8, parts: &[&str]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(secret);
    hasher.update([kind]);
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            hasher.update([0]);
        }
        hasher.update(part);
    }
    first(&hasher.finalize().into())
}

/// The hash that the next record of the same order names as its predecessor: over the stored bytes, which hold
/// the previous link themselves.
#[must_use]
pub fn chain_hash(record_bytes: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"rf-chain-1\0");
    hasher.update(record_bytes);
    hasher.finalize().into()
}

/// The key under which a participant may run a step's effect once: 36 characters, `rf1-` and 32 of base32.
///
/// `part` tells several payments or shipments of one step apart; `None` where a step has one part.
/// `instance` counts how often this order has entered the step; `generation` rises only by a committed event
/// after a known failure or a settlement (promise 4).
#[must_use]
pub fn idempotency_key(
    order: &OrderRef,
    step: &str,
    part: Option<&str>,
    instance: u32,
    generation: u32,
) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"rf-effect-1\0");
    for part in [order.tenant.as_str(), order.order.as_str(), step] {
        hasher.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.update([u8::from(part.is_some())]);
    if let Some(part) = part {
        hasher.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(instance.to_le_bytes());
    hasher.update(generation.to_le_bytes());
    let digest: [u8; 20] = first(&hasher.finalize().into());
    let mut key = String::with_capacity(36);
    key.push_str("rf1-");
    // 160 bits are 32 digits: nothing is padded.
    BASE32_NOPAD.encode_append(&digest, &mut key);
    key.make_ascii_lowercase();
    key
}

fn first<const N: usize>(digest: &Hash) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&digest[..N]);
    out
}

/// Lowercase hexadecimal, for people and JSON.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn each_byte_is_two_lower_case_digits() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(&all), all.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        assert_eq!(hex(&[]), "");
    }
}
