//! What each answer of etcd, and each silence, means here: the one table.
//!
//! The texts are etcd's own (`api/v3rpc/rpctypes/error.go`); they count before the code beside them, which differs between versions and
//! between members that forward for each other.

use etcd_client::Error;

/// What is to be done about a request that was not answered as it should be. All but a fault are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nobody answered, or nobody who can tell: it may have been done or not.
    Unreachable,
    /// The members have no leader, or just got another one: it may have been done or not.
    NoLeader,
    /// Too much is asked of it at once.
    Busy,
    /// etcd does not know the lease: the session has ended, whatever our own clock says. A new one begins.
    SessionEnded,
    /// What changed since a revision is not to be had: it was compacted, or etcd was wiped and counts anew. All is read again.
    HistoryGone,
    /// etcd's database is full: it takes nothing until an operator has made room.
    OutOfSpace,
    /// We may not do this, or not as who we are.
    Denied,
    /// etcd itself is broken, too old, or another cluster's.
    Unfit,
    /// We ask for something that can never be: a fault in this program, or in its settings.
    Fault,
}

impl Meaning {
    /// What an operator can do, where somebody has to.
    fn remedy(self) -> &'static str {
        match self {
            Self::OutOfSpace => {
                ": etcd's database is full; compact and defragment it (or raise --quota-backend-bytes), then `etcdctl alarm disarm`"
            }
            Self::Denied => {
                ": etcd asks for a user, or for more rights: keys below /retailflow/<cluster>/ have to be readable and writable"
            }
            Self::Unfit => ": look at the members of etcd (`etcdctl endpoint status`) and at etcd.endpoints",
            Self::Fault => ": look at etcd.endpoints; if they are right, this is a fault of this program",
            _ => "",
        }
    }
}

/// What etcd did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("etcd: {why}{}", meaning.remedy())]
pub struct EtcdError {
    /// What it means.
    pub meaning: Meaning,
    why: String,
}

impl EtcdError {
    pub(crate) fn new(meaning: Meaning, why: impl Into<String>) -> Self {
        Self { meaning, why: why.into() }
    }

    pub(crate) fn unreachable(why: impl Into<String>) -> Self {
        Self::new(Meaning::Unreachable, why)
    }
}

impl From<Error> for EtcdError {
    fn from(error: Error) -> Self {
        Self { meaning: meaning(&error), why: error.to_string() }
    }
}

/// By what etcd writes, whatever code it gives beside it. The first that is in the text counts.
const TEXTS: &[(&str, Meaning)] = &[
    ("lease not found", Meaning::SessionEnded),
    ("required revision has been compacted", Meaning::HistoryGone),
    ("required revision is a future revision", Meaning::HistoryGone),
    ("database space exceeded", Meaning::OutOfSpace),
    ("too many requests", Meaning::Busy),
    ("leader changed", Meaning::NoLeader),
    ("no leader", Meaning::NoLeader),
    ("not leader", Meaning::NoLeader),
    ("request timed out", Meaning::NoLeader),
    ("permission denied", Meaning::Denied),
    ("invalid auth token", Meaning::Denied),
    ("user name is empty", Meaning::Denied),
    ("authentication failed", Meaning::Denied),
    ("authentication is not enabled", Meaning::Denied),
    ("revision of auth store is old", Meaning::Denied),
    ("cluster ID mismatch", Meaning::Unfit),
    ("corrupt", Meaning::Unfit),
    ("not capable", Meaning::Unfit),
    ("stopped", Meaning::Unreachable),
    ("unhealthy cluster", Meaning::Unreachable),
];

fn meaning(error: &Error) -> Meaning {
    match error {
        Error::GRpcStatus(status) => of_status(i32::from(status.code()), status.message()),
        // What the client makes of a time to live of 0 on a new stream.
        Error::LeaseKeepAliveError(why) if why.contains("lease not found") => Meaning::SessionEnded,
        // Its stream has ended.
        Error::LeaseKeepAliveError(_) | Error::WatchError(_) | Error::ElectError(_) => Meaning::Unreachable,
        Error::TransportError(_) | Error::IoError(_) | Error::EndpointError(_) | Error::Internal(_) => {
            Meaning::Unreachable
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::Utf8Error(_) => Meaning::Fault,
        Error::InvalidMetadataValue(_) | Error::EndpointsNotManaged => Meaning::Fault,
    }
}

/// The codes of gRPC, which the client's crate does not name.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const DATA_LOSS: i32 = 15;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

fn of_status(code: i32, text: &str) -> Meaning {
    if let Some((_, meaning)) = TEXTS.iter().find(|(part, _)| text.contains(part)) {
        return *meaning;
    }
    match code {
        code::RESOURCE_EXHAUSTED => Meaning::Busy,
        code::PERMISSION_DENIED | code::UNAUTHENTICATED => Meaning::Denied,
        code::DATA_LOSS | code::UNIMPLEMENTED => Meaning::Unfit,
        code::INVALID_ARGUMENT | code::NOT_FOUND | code::ALREADY_EXISTS => Meaning::Fault,
        code::FAILED_PRECONDITION | code::OUT_OF_RANGE => Meaning::Fault,
        // Unavailable, DeadlineExceeded, Canceled, Aborted, Unknown, Internal, and what comes later.
        _ => Meaning::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: i32 = 2;
    const DEADLINE_EXCEEDED: i32 = 4;
    const UNAVAILABLE: i32 = 14;

    /// As `rpctypes/error.go` of etcd 3.4 to 3.6 has them.
    #[test]
    fn each_answer_of_etcd_has_its_meaning() {
        for (code, text, wanted) in [
            (code::NOT_FOUND, "etcdserver: requested lease not found", Meaning::SessionEnded),
            // A member that forwards to an older leader.
            (UNKNOWN, "etcdserver: requested lease not found", Meaning::SessionEnded),
            (
                code::OUT_OF_RANGE,
                "etcdserver: mvcc: required revision has been compacted",
                Meaning::HistoryGone,
            ),
            (
                code::OUT_OF_RANGE,
                "etcdserver: mvcc: required revision is a future revision",
                Meaning::HistoryGone,
            ),
            (code::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", Meaning::OutOfSpace),
            (code::RESOURCE_EXHAUSTED, "etcdserver: too many requests", Meaning::Busy),
            (code::RESOURCE_EXHAUSTED, "grpc: received message larger than max", Meaning::Busy),
            (UNAVAILABLE, "etcdserver: leader changed", Meaning::NoLeader),
            (UNAVAILABLE, "etcdserver: no leader", Meaning::NoLeader),
            (code::FAILED_PRECONDITION, "etcdserver: not leader", Meaning::NoLeader),
            (UNAVAILABLE, "etcdserver: request timed out", Meaning::NoLeader),
            (
                UNAVAILABLE,
                "etcdserver: request timed out, possibly due to previous leader failure",
                Meaning::NoLeader,
            ),
            (
                UNAVAILABLE,
                "etcdserver: request timed out, possibly due to connection lost",
                Meaning::NoLeader,
            ),
            (UNAVAILABLE, "etcdserver: server stopped", Meaning::Unreachable),
            (UNAVAILABLE, "etcdserver: unhealthy cluster", Meaning::Unreachable),
            (UNAVAILABLE, "error reading server preface: EOF", Meaning::Unreachable),
            (DEADLINE_EXCEEDED, "context deadline exceeded", Meaning::Unreachable),
            (UNKNOWN, "h2 protocol error", Meaning::Unreachable),
            (1, "the client has gone", Meaning::Unreachable),
            (code::PERMISSION_DENIED, "etcdserver: permission denied", Meaning::Denied),
            (code::UNAUTHENTICATED, "etcdserver: invalid auth token", Meaning::Denied),
            (code::INVALID_ARGUMENT, "etcdserver: user name is empty", Meaning::Denied),
            (
                code::INVALID_ARGUMENT,
                "etcdserver: authentication failed, invalid user ID or password",
                Meaning::Denied,
            ),
            (code::FAILED_PRECONDITION, "etcdserver: authentication is not enabled", Meaning::Denied),
            (code::INVALID_ARGUMENT, "etcdserver: revision of auth store is old", Meaning::Denied),
            (code::FAILED_PRECONDITION, "etcdserver: cluster ID mismatch", Meaning::Unfit),
            (code::DATA_LOSS, "etcdserver: corrupt cluster", Meaning::Unfit),
            (UNAVAILABLE, "etcdserver: not capable", Meaning::Unfit),
            (code::UNIMPLEMENTED, "unknown service etcdserverpb.KV", Meaning::Unfit),
            (code::INVALID_ARGUMENT, "etcdserver: request is too large", Meaning::Fault),
            (code::OUT_OF_RANGE, "etcdserver: too large lease TTL", Meaning::Fault),
            (code::FAILED_PRECONDITION, "etcdserver: lease already exists", Meaning::Fault),
            (code::NOT_FOUND, "etcdserver: member not found", Meaning::Fault),
        ] {
            assert_eq!(of_status(code, text), wanted, "{code}: {text}");
        }
    }

    #[test]
    fn what_the_client_makes_of_an_answer_has_its_meaning() {
        let of = |error: Error| meaning(&error);
        assert_eq!(of(Error::LeaseKeepAliveError("lease not found".into())), Meaning::SessionEnded);
        assert_eq!(of(Error::LeaseKeepAliveError("channel closed".into())), Meaning::Unreachable);
        assert_eq!(of(Error::WatchError("failed to create lease keeper".into())), Meaning::Unreachable);
        assert_eq!(of(Error::IoError(std::io::ErrorKind::ConnectionReset.into())), Meaning::Unreachable);
        assert_eq!(of(Error::EndpointError("gone".into())), Meaning::Unreachable);
        assert_eq!(of(Error::InvalidArgs("empty URI".into())), Meaning::Fault);
    }

    #[test]
    fn what_somebody_has_to_do_is_said() {
        let said = |meaning| EtcdError::new(meaning, "x").to_string();
        assert!(said(Meaning::OutOfSpace).contains("etcdctl alarm disarm"));
        assert!(said(Meaning::Denied).contains("/retailflow/<cluster>/"));
        assert_eq!(said(Meaning::Unreachable), "etcd: x");
    }
}
