//! The first record of each log.

use serde::{Deserialize, Serialize};

use super::envelope::{self, CodecError, Schema};
use crate::ids::{ID_GRAMMAR_VERSION, TimestampMs};
use crate::keys::PARTITION_HASH_NAME;
use crate::ports::LogIdentity;

/// The newest version written and read.
pub const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct LogIdentityV1 {
    log_id: [u8; 16],
    cluster: String,
    partitions: u16,
    shards: u16,
    partition_hash: String,
    id_grammar: u16,
    created_ms: i64,
}

/// The stored form of a log's identity, with the partition hash and id grammar of this build.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode(identity: &LogIdentity) -> Result<Vec<u8>, CodecError> {
    let stored = LogIdentityV1 {
        log_id: identity.log_id,
        cluster: identity.cluster.clone(),
        partitions: identity.partitions,
        shards: identity.shards,
        partition_hash: PARTITION_HASH_NAME.into(),
        id_grammar: ID_GRAMMAR_VERSION,
        created_ms: identity.created.0,
    };
    envelope::seal(Schema::LogIdentity, VERSION, &stored)
}

/// Reads a log's identity.
///
/// # Errors
/// [`CodecError`]; `Unsupported` also when the log was written with another partition hash or id grammar.
pub fn decode(bytes: &[u8]) -> Result<LogIdentity, CodecError> {
    let payload = envelope::open_only(Schema::LogIdentity, VERSION, bytes)?;
    let stored: LogIdentityV1 = envelope::payload(payload)?;
    if stored.partition_hash != PARTITION_HASH_NAME || stored.id_grammar != ID_GRAMMAR_VERSION {
        return Err(CodecError::Unsupported {
            schema: format!("partition hash {:?} with id grammar", stored.partition_hash),
            found: stored.id_grammar,
            known: ID_GRAMMAR_VERSION,
        });
    }
    if stored.partitions == 0 {
        return Err(CodecError::Corrupt("a log of no partitions".into()));
    }
    Ok(LogIdentity {
        log_id: stored.log_id,
        cluster: stored.cluster,
        partitions: stored.partitions,
        shards: stored.shards,
        created: TimestampMs(stored.created_ms),
    })
}
