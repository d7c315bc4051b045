//! A made-up version 0, older than anything released: it proves that the upcast path works and stays working.

use serde::{Deserialize, Serialize};

use super::v1::{ActorV1, BodyV1, CommandKindV1, DeadlineV1, DecisionV1, RecordV1, VerdictV1};
use crate::keys::Hash;

/// A record that could hold one decision and knew no actor, no trace and no deadline.
#[derive(Serialize, Deserialize)]
pub(super) struct RecordV0 {
    pub(super) tenant: String,
    pub(super) order: String,
    pub(super) expected_revision: u64,
    pub(super) previous: Hash,
    pub(super) source: String,
    pub(super) id: String,
    pub(super) content_hash: Hash,
    pub(super) received_ms: i64,
    pub(super) rejected: Option<String>,
    pub(super) version: u64,
}

impl RecordV0 {
    pub(super) fn upcast(self) -> RecordV1 {
        let version = self.version;
        let verdict = match self.rejected {
            None => VerdictV1::Applied { version },
            Some(code) => VerdictV1::Rejected { version, code, message: String::new() },
        };
        RecordV1 {
            tenant: self.tenant,
            order: self.order,
            expected_revision: self.expected_revision,
            previous: self.previous,
            body: BodyV1::Decisions(vec![DecisionV1 {
                source: self.source,
                id: self.id,
                kind: CommandKindV1::Place,
                content_hash: self.content_hash,
                actor: ActorV1::Tenant,
                causation: None,
                time_ms: None,
                received_ms: self.received_ms,
                policy_version: 0,
                trace_id: None,
                verdict,
                events: Vec::new(),
                deadline: DeadlineV1::Keep,
            }]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{Schema, seal};
    use super::super::v1;
    use super::*;

    #[test]
    fn a_version_0_record_is_read_as_version_1() {
        let old = RecordV0 {
            tenant: "t".into(),
            order: "o".into(),
            expected_revision: 3,
            previous: [7; 32],
            source: "/s".into(),
            id: "c".into(),
            content_hash: [1; 32],
            received_ms: 5,
            rejected: Some("order_exists".into()),
            version: 1,
        };
        let record = v1::decode(&seal(Schema::Record, 0, &old).unwrap()).unwrap();
        assert_eq!(record.next_revision(), 4);
        let BodyV1::Decisions(decisions) = record.body else { panic!("decisions expected") };
        let verdict = VerdictV1::Rejected { version: 1, code: "order_exists".into(), message: String::new() };
        assert_eq!(decisions[0].verdict, verdict);
    }
}
