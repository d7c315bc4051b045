//! What a log is, in the first message of each of its streams. A node that differs refuses to run.

use retailflow_engine::codec::{CodecError, identity};
use retailflow_engine::ports::LogIdentity;

use super::answers::ApiFailure;
use super::api::Api;
use super::errors::STREAM_NOT_FOUND;
use super::{Connections, subjects};

/// Why a log is not the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is another one, or was made for another topology.
    #[error(
        "stream {stream} belongs to a log whose {field} is {found}; this node has {wanted}{}",
        remedy(field, found)
    )]
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
    /// It holds messages, or the log has begun without it: it was emptied, or made anew in the place of a lost one.
    #[error("stream {stream} has lost its identity: restore it, it is not begun anew")]
    Missing {
        /// Which stream.
        stream: String,
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
    #[error("stream {stream}: {failure}")]
    Stream {
        /// Which stream.
        stream: String,
        /// What it says.
        failure: ApiFailure,
    },
}

impl IdentityError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Stream { failure, .. } if failure.may_pass())
    }
}

/// What to set to what, where a setting differs.
fn remedy(field: &str, found: &str) -> String {
    let setting = match field {
        "cluster" => "log.cluster",
        "partitions" => "cluster.partitions",
        "shards" => "cluster.shards",
        _ => return String::new(),
    };
    format!(". It was fixed when the log was made: set {setting} = {found} in this node's configuration")
}

/// Refuses a configuration that names another log than the one that is there, before anything is made for it. A log that has not begun
/// fits everybody.
///
/// # Errors
/// [`IdentityError`].
pub async fn fits_log(connections: &Connections, wanted: &LogIdentity) -> Result<(), IdentityError> {
    match found_identity(connections).await? {
        None => Ok(()),
        Some(found) => same(&subjects::stream(0), wanted, &found),
    }
}

/// Reads the identity of all streams, writing it where there is none yet; `wanted.log_id` and `wanted.created` hold only
/// for a log that this call begins.
///
/// The first shard's is written last: with it the log has begun, and from then on a stream without one has lost it.
pub(super) async fn agree(api: &Api, wanted: &LogIdentity) -> Result<LogIdentity, IdentityError> {
    let begun = read(api, 0).await?.is_some();
    let mut agreed: Option<LogIdentity> = None;
    for shard in (0..wanted.shards).rev() {
        let stream = subjects::stream(shard);
        let found = match read(api, shard).await? {
            Some(found) => found,
            None if begun => return Err(IdentityError::Missing { stream }),
            None => begin(api, shard, agreed.as_ref().unwrap_or(wanted)).await?,
        };
        same(&stream, wanted, &found)?;
        match &agreed {
            None => agreed = Some(found),
            Some(agreed) if agreed.log_id == found.log_id => {}
            Some(agreed) => {
                let id = |log_id: &[u8]| retailflow_engine::keys::hex(log_id);
                let (wanted, found) = (id(&agreed.log_id), id(&found.log_id));
                return Err(IdentityError::Differs { stream, field: "log_id", wanted, found });
            }
        }
    }
    Ok(agreed.unwrap_or_else(|| wanted.clone()))
}

/// What the log is, if it has begun; nothing is written.
///
/// # Errors
/// [`IdentityError`].
pub async fn found_identity(connections: &Connections) -> Result<Option<LogIdentity>, IdentityError> {
    let api = Api::new(connections.read.clone(), connections.request_timeout);
    match read(&api, 0).await {
        Err(IdentityError::Stream { failure: ApiFailure::Refused(error), .. })
            if error.err_code == STREAM_NOT_FOUND =>
        {
            Ok(None)
        }
        read => read,
    }
}

async fn read(api: &Api, shard: u16) -> Result<Option<LogIdentity>, IdentityError> {
    let stream = subjects::stream(shard);
    match api.last(&stream, &subjects::identity(shard)).await {
        Ok(None) => Ok(None),
        Ok(Some(stored)) => match identity::decode(&stored.payload) {
            Ok(identity) => Ok(Some(identity)),
            Err(error) => Err(IdentityError::Unreadable { stream, error }),
        },
        Err(failure) => Err(IdentityError::Stream { stream, failure }),
    }
}

async fn begin(api: &Api, shard: u16, wanted: &LogIdentity) -> Result<LogIdentity, IdentityError> {
    let stream = subjects::stream(shard);
    let silent = |failure| IdentityError::Stream { stream: stream.clone(), failure };
    // Messages without a beginning: someone purged, or this is no log.
    if api.info(&stream).await.map_err(silent)?.last_sequence > 0 {
        // Unless someone began it in this moment.
        return read(api, shard).await?.ok_or(IdentityError::Missing { stream });
    }
    let bytes = identity::encode(wanted)
        .map_err(|error| IdentityError::Unreadable { stream: stream.clone(), error })?;
    match api.publish_first(&subjects::identity(shard), bytes).await {
        Ok(()) => {}
        // Someone was faster: theirs holds.
        Err(ApiFailure::Refused(error)) if error.was_slower() => {}
        Err(failure) => return Err(silent(failure)),
    }
    read(api, shard).await?.ok_or(IdentityError::Missing { stream })
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
