//! What stands in etcd: JSON, so that operators can read it with etcd's own tools. Frozen, with golden texts below.
//!
//! A reader takes members that it does not know for additions, and refuses a version that it does not know: what it can't
//! read it neither overwrites nor takes for damage.

use std::collections::BTreeMap;

use retailflow_engine::ids::{NodeId, PartitionId, TimestampMs};
use retailflow_placement::{Assigned, Assignment};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of all values here.
pub(crate) const VERSION: u16 = 1;

/// Why a value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A later build wrote it: this one had better leave its partitions to others.
    #[error("{what} is of version {found}, and this build knows {VERSION}: upgrade this node")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// The version found.
        found: u64,
    },
    /// Nobody of ours wrote it.
    #[error("{what} cannot be read: {why}")]
    Damaged {
        /// What it is.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// Each life of a node's process has a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) node: String,
    /// Which life of it, in hexadecimal.
    pub(crate) incarnation: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeV1 {
    #[serde(flatten)]
    pub(crate) holder: Holder,
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// The program's version, for people.
    pub(crate) build: String,
    /// Where operators reach it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) admin: Option<String>,
    pub(crate) started_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrainV1 {
    pub(crate) by: String,
    pub(crate) at_ms: i64,
}

/// Without a lease: it stays when the node is gone, until it has left in good order or an operator says that it is not coming back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenV1 {
    /// When it came.
    pub(crate) at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockV1 {
    pub(crate) holder: String,
    pub(crate) at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinV1 {
    pub(crate) node: String,
    pub(crate) by: String,
    pub(crate) at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimV1 {
    #[serde(flatten)]
    pub(crate) holder: Holder,
    pub(crate) at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerV1 {
    pub(crate) node: String,
    pub(crate) since_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlacementV1 {
    /// P, as the leader knows it from the log.
    pub(crate) partitions: u16,
    pub(crate) planned_ms: i64,
    /// By partition.
    pub(crate) owners: BTreeMap<u16, OwnerV1>,
}

impl PlacementV1 {
    pub(crate) fn of(partitions: u16, assignment: &Assignment, now: TimestampMs) -> Self {
        let owner =
            |assigned: &Assigned| OwnerV1 { node: assigned.node.to_string(), since_ms: assigned.since.0 };
        let owners = assignment.iter().map(|(partition, assigned)| (partition.0, owner(assigned)));
        Self { partitions, planned_ms: now.0, owners: owners.collect() }
    }

    /// Who is to own what; owners whose names are none are left out.
    pub(crate) fn assignment(&self) -> Assignment {
        let assigned = |owner: &OwnerV1| {
            let node = NodeId::parse(&owner.node).ok()?;
            Some(Assigned { node, since: TimestampMs(owner.since_ms) })
        };
        self.owners
            .iter()
            .filter_map(|(partition, owner)| Some((PartitionId(*partition), assigned(owner)?)))
            .collect()
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u16,
    #[serde(flatten)]
    value: &'a T,
}

/// As it is stored.
pub(crate) fn write<T: Serialize>(value: &T) -> Vec<u8> {
    // Values of these types are always written.
    serde_json::to_vec(&Versioned { v: VERSION, value }).unwrap_or_default()
}

/// Reads what is stored; `what` is for people.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, ValueError> {
    let damaged = |why: serde_json::Error| ValueError::Damaged { what, why: why.to_string() };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(found) if found == u64::from(VERSION) => serde_json::from_value(value).map_err(damaged),
        Some(found) => Err(ValueError::Unsupported { what, found }),
        None => Err(ValueError::Damaged { what, why: "it has no version".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder { node: "n-1".into(), incarnation: "00ff".into() }
    }

    fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, text: &str) {
        assert_eq!(String::from_utf8(write(value)).unwrap(), text);
        assert_eq!(read::<T>("it", text.as_bytes()).as_ref(), Ok(value));
        let more = text.replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(read::<T>("it", more.as_bytes()).as_ref(), Ok(value), "additions are borne");
        let newer = text.replacen(r#""v":1"#, r#""v":2"#, 1);
        assert_eq!(
            read::<T>("it", newer.as_bytes()),
            Err(ValueError::Unsupported { what: "it", found: 2 }),
            "unsupported is never called damaged"
        );
    }

    #[test]
    fn values_are_frozen() {
        golden(
            &NodeV1 {
                holder: holder(),
                weight: 2,
                labels: BTreeMap::from([("zone".into(), "a".into())]),
                build: "0.1.0".into(),
                admin: Some("10.0.0.1:8081".into()),
                started_ms: 5,
            },
            r#"{"v":1,"node":"n-1","incarnation":"00ff","weight":2,"labels":{"zone":"a"},"build":"0.1.0","admin":"10.0.0.1:8081","started_ms":5}"#,
        );
        golden(&LockV1 { holder: "n-1".into(), at_ms: 5 }, r#"{"v":1,"holder":"n-1","at_ms":5}"#);
        golden(&SeenV1 { at_ms: 5 }, r#"{"v":1,"at_ms":5}"#);
        golden(&DrainV1 { by: "ann".into(), at_ms: 5 }, r#"{"v":1,"by":"ann","at_ms":5}"#);
        golden(
            &PinV1 { node: "n-1".into(), by: "ann".into(), at_ms: 5 },
            r#"{"v":1,"node":"n-1","by":"ann","at_ms":5}"#,
        );
        golden(
            &ClaimV1 { holder: holder(), at_ms: 5 },
            r#"{"v":1,"node":"n-1","incarnation":"00ff","at_ms":5}"#,
        );
        golden(&holder(), r#"{"v":1,"node":"n-1","incarnation":"00ff"}"#);
        let owners = BTreeMap::from([(0, OwnerV1 { node: "n-1".into(), since_ms: 7 })]);
        golden(
            &PlacementV1 { partitions: 128, planned_ms: 9, owners },
            r#"{"v":1,"partitions":128,"planned_ms":9,"owners":{"0":{"node":"n-1","since_ms":7}}}"#,
        );
    }

    #[test]
    fn what_nobody_of_ours_wrote_is_told() {
        for text in ["", "x", "{}", r#"{"v":"1"}"#, r#"{"v":1}"#, "[]"] {
            let read = read::<ClaimV1>("a claim", text.as_bytes());
            assert!(matches!(read, Err(ValueError::Damaged { what: "a claim", .. })), "{text}: {read:?}");
        }
    }
}
