//! Every subject and stream name of the log, made and read here alone. They are frozen: they stand in stored messages.
//!
//! ```text
//! RF_LOG_<shard>             the stream
//! rf.log.identity.<shard>    what the log is; the first message of its stream
//! rf.log.<p>.fence           the first message of each group of partition p
//! rf.log.<p>.o.<tenant>.<order>   an order's records
//! rf.log.<p>.c.<tenant>.<order>   its park marks, parked commands and releases
//! rf.log.<p>.d.<tenant>.<order>   its deadline, the newest only
//! ```
//!
//! Ids are whole tokens: their grammar knows no `.`, `*`, `>` or white space.

use retailflow_engine::ids::{OrderId, OrderRef, PartitionId, TenantId};

const LOG: &str = "rf.log";

/// What a message of the log is, as its subject says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A shard's identity.
    Identity(u16),
    /// A fence.
    Fence(PartitionId),
    /// An order's record.
    Record(PartitionId, OrderRef),
    /// A control record.
    Control(PartitionId, OrderRef),
    /// A deadline.
    Deadline(PartitionId, OrderRef),
}

/// The stream of a shard.
#[must_use]
pub fn stream(shard: u16) -> String {
    format!("RF_LOG_{shard}")
}

/// The shard in which a partition lives, among `shards`. Zero counts as one.
#[must_use]
pub fn shard_of(partition: PartitionId, shards: u16) -> u16 {
    partition.0 % shards.max(1)
}

/// The subjects that a shard's stream takes, in order.
#[must_use]
pub fn of_stream(shard: u16, partitions: u16, shards: u16) -> Vec<String> {
    let here = (0..partitions).filter(|partition| shard_of(PartitionId(*partition), shards) == shard);
    here.map(|partition| format!("{LOG}.{partition}.>")).chain([identity(shard)]).collect()
}

/// Where a shard says what it is.
#[must_use]
pub fn identity(shard: u16) -> String {
    format!("{LOG}.identity.{shard}")
}

/// Where a partition's fences stand.
#[must_use]
pub fn fence(partition: PartitionId) -> String {
    format!("{LOG}.{}.fence", partition.0)
}

/// Where an order's records stand.
#[must_use]
pub fn record(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'o', order)
}

/// Where an order's control records stand.
#[must_use]
pub fn control(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'c', order)
}

/// Where an order's deadline stands.
#[must_use]
pub fn deadline(partition: PartitionId, order: &OrderRef) -> String {
    of_order(partition, 'd', order)
}

/// All control records of a partition.
#[must_use]
pub fn controls_of(partition: PartitionId) -> String {
    format!("{LOG}.{}.c.>", partition.0)
}

/// All deadlines of a partition.
#[must_use]
pub fn deadlines_of(partition: PartitionId) -> String {
    format!("{LOG}.{}.d.>", partition.0)
}

/// Everything in a stream.
pub const ALL: &str = ">";

fn of_order(partition: PartitionId, kind: char, order: &OrderRef) -> String {
    format!("{LOG}.{}.{kind}.{}.{}", partition.0, order.tenant, order.order)
}

/// What a subject names; `None` for one that is not made here.
#[must_use]
pub fn parse(subject: &str) -> Option<Subject> {
    let rest = subject.strip_prefix(LOG)?.strip_prefix('.')?;
    let tokens: Vec<&str> = rest.split('.').collect();
    let number = |text: &str| {
        let number: u16 = text.parse().ok()?;
        // One spelling only: `+1` and `01` are numbers too, but not ours.
        (number.to_string() == text).then_some(number)
    };
    match tokens[..] {
        ["identity", shard] => Some(Subject::Identity(number(shard)?)),
        [partition, "fence"] => Some(Subject::Fence(PartitionId(number(partition)?))),
        [partition, kind, tenant, order] => {
            let partition = PartitionId(number(partition)?);
            let order =
                OrderRef { tenant: TenantId::parse(tenant).ok()?, order: OrderId::parse(order).ok()? };
            match kind {
                "o" => Some(Subject::Record(partition, order)),
                "c" => Some(Subject::Control(partition, order)),
                "d" => Some(Subject::Deadline(partition, order)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> OrderRef {
        let tenant = TenantId::parse("shop-1").unwrap();
        OrderRef { tenant, order: OrderId::parse("A_9-z").unwrap() }
    }

    /// Golden: what stands in streams that were written before.
    #[test]
    fn subjects_are_frozen() {
        let (p, order) = (PartitionId(7), order());
        assert_eq!(stream(3), "RF_LOG_3");
        assert_eq!(identity(3), "rf.log.identity.3");
        assert_eq!(fence(p), "rf.log.7.fence");
        assert_eq!(record(p, &order), "rf.log.7.o.shop-1.A_9-z");
        assert_eq!(control(p, &order), "rf.log.7.c.shop-1.A_9-z");
        assert_eq!(deadline(p, &order), "rf.log.7.d.shop-1.A_9-z");
        assert_eq!(controls_of(p), "rf.log.7.c.>");
        assert_eq!(deadlines_of(p), "rf.log.7.d.>");
        assert_eq!(of_stream(1, 5, 2), ["rf.log.1.>", "rf.log.3.>", "rf.log.identity.1"]);
        assert_eq!(of_stream(0, 1, 1), ["rf.log.0.>", "rf.log.identity.0"]);
        assert_eq!([0, 1, 127].map(|p| shard_of(PartitionId(p), 8)), [0, 1, 7]);
    }

    #[test]
    fn what_is_made_is_read_back_and_nothing_else_is() {
        let (p, order) = (PartitionId(65_535), order());
        assert_eq!(parse(&identity(8)), Some(Subject::Identity(8)));
        assert_eq!(parse(&fence(p)), Some(Subject::Fence(p)));
        assert_eq!(parse(&record(p, &order)), Some(Subject::Record(p, order.clone())));
        assert_eq!(parse(&control(p, &order)), Some(Subject::Control(p, order.clone())));
        assert_eq!(parse(&deadline(p, &order)), Some(Subject::Deadline(p, order)));
        let strange = [
            "rf.log",
            "rf.log.",
            "rf.log.7",
            "rf.log.07.fence",
            "rf.log.+7.fence",
            "rf.log.65536.fence",
            "rf.log.7.x.t.o",
            "rf.log.7.o.t",
            "rf.log.7.o.T.o",
            "rf.log.7.o.t.o.o",
            "rf.log.identity.x",
            "rf.logs.7.fence",
        ];
        for subject in strange {
            assert_eq!(parse(subject), None, "{subject}");
        }
    }
}
