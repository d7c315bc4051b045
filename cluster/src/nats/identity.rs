//! What a log is, in the first message of each of its streams. A node that differs refuses to run.

use retailflow_engine::codec::{CodecError, identity};
use retailflow_engine::ports::LogIdentity;

use super::api::{Api, Trouble};
use super::errors::WRONG_LAST_SEQUENCE;
use super::subjects;

/// Why a log is not the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is another one, or was made for another topology.
    #[error("stream {stream} belongs to a log whose {field} is {found}; this node has {wanted}")]
    Differs {
        /// In which stream.
        stream: String,
        /// What differs: `cluster`, `partitions`, `shards` or `log_id`.
        field: &'static str,
        /// What this node, or the first stream, says.
        wanted: String,
        /// What stands there.
        found: String,
    },
    /// Written by another version, or damaged.
    #[error("stream {stream}: its identity cannot be read: {error}")]
    Unreadable {
        /// In which stream.
        stream: String,
        /// What is wrong with it.
        error: CodecError,
    },
    /// The server does not answer, or refuses.
    #[error("stream {stream}: {trouble}")]
    Stream {
        /// Which stream.
        stream: String,
        /// What it says.
        trouble: Trouble,
    },
}

/// Reads the identity of all streams, writing it where there is none yet; `wanted.log_id` and `wanted.created` hold only
/// for a log that this call begins.
pub(super) async fn agree(api: &Api, wanted: &LogIdentity) -> Result<LogIdentity, IdentityError> {
    let mut first: Option<LogIdentity> = None;
    for shard in 0..wanted.shards {
        let stream = subjects::stream(shard);
        let found = one(api, shard, &stream, first.as_ref().unwrap_or(wanted)).await?;
        same(&stream, wanted, &found)?;
        match &first {
            None => first = Some(found),
            Some(first) if first.log_id == found.log_id => {}
            Some(first) => {
                let id = |log_id: &[u8]| retailflow_engine::keys::hex(log_id);
                let (wanted, found) = (id(&first.log_id), id(&found.log_id));
                return Err(IdentityError::Differs { stream, field: "log_id", wanted, found });
            }
        }
    }
    Ok(first.unwrap_or_else(|| wanted.clone()))
}

async fn one(
    api: &Api,
    shard: u16,
    stream: &str,
    wanted: &LogIdentity,
) -> Result<LogIdentity, IdentityError> {
    let silent = |trouble| IdentityError::Stream { stream: stream.to_owned(), trouble };
    let unreadable = |error| IdentityError::Unreadable { stream: stream.to_owned(), error };
    let subject = subjects::identity(shard);
    let mut stored = api.last(stream, &subject).await.map_err(silent)?;
    if stored.is_none() {
        // Messages without a beginning: someone purged, or this is no log. Never begun anew.
        let messages = api.info(stream).await.map_err(silent)?.last_sequence;
        if messages > 0 && api.last(stream, &subject).await.map_err(silent)?.is_none() {
            let why = format!("there is none before {messages} messages");
            return Err(unreadable(CodecError::Corrupt(why)));
        }
        let bytes = identity::encode(wanted).map_err(unreadable)?;
        match api.publish_first(&subject, bytes).await {
            Ok(()) => {}
            // Someone was faster: theirs holds.
            Err(Trouble::Refused(error)) if error.err_code == WRONG_LAST_SEQUENCE => {}
            Err(trouble) => return Err(silent(trouble)),
        }
        stored = api.last(stream, &subject).await.map_err(silent)?;
    }
    let lost = || silent(Trouble::Strange("it was written and is not there".into()));
    identity::decode(&stored.ok_or_else(lost)?.payload).map_err(unreadable)
}

fn same(stream: &str, wanted: &LogIdentity, found: &LogIdentity) -> Result<(), IdentityError> {
    let fields = [
        ("cluster", wanted.cluster.clone(), found.cluster.clone()),
        ("partitions", wanted.partitions.to_string(), found.partitions.to_string()),
        ("shards", wanted.shards.to_string(), found.shards.to_string()),
    ];
    match fields.into_iter().find(|(_, wanted, found)| wanted != found) {
        None => Ok(()),
        Some((field, wanted, found)) => {
            Err(IdentityError::Differs { stream: stream.to_owned(), field, wanted, found })
        }
    }
}
