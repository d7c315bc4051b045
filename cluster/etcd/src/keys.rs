//! Where things stand in etcd. Frozen: nodes of different builds meet here.
//!
//! ```text
//! /retailflow/<cluster>/nodes/<node>      who is there (with its lease)
//! /retailflow/<cluster>/seen/<node>       who was there, and has not left in good order
//! /retailflow/<cluster>/drains/<node>     who is to be emptied
//! /retailflow/<cluster>/pins/<partition>  what an operator has put somewhere
//! /retailflow/<cluster>/leader            who plans (with its lease)
//! /retailflow/<cluster>/placement         who is to own what
//! /retailflow/<cluster>/claims/<partition>  who owns what (with its lease)
//! /retailflow/<cluster>/locks/<name>      who does a job that must run once (with its lease)
//! ```

use retailflow_engine::ids::{NodeId, PartitionId};

/// The keys of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

/// What a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Node(NodeId),
    Seen(NodeId),
    Drain(NodeId),
    Pin(PartitionId),
    Leader,
    Placement,
    Claim(PartitionId),
    Lock(String),
}

impl Keys {
    /// `cluster` follows the grammar of `log.cluster`: no slash.
    pub(crate) fn new(cluster: &str) -> Self {
        Self { prefix: format!("/retailflow/{cluster}/") }
    }

    /// What all of them begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn of(&self, key: &Key) -> String {
        let prefix = &self.prefix;
        match key {
            Key::Node(node) => format!("{prefix}nodes/{node}"),
            Key::Seen(node) => format!("{prefix}seen/{node}"),
            Key::Drain(node) => format!("{prefix}drains/{node}"),
            Key::Pin(partition) => format!("{prefix}pins/{}", partition.0),
            Key::Leader => format!("{prefix}leader"),
            Key::Placement => format!("{prefix}placement"),
            Key::Claim(partition) => format!("{prefix}claims/{}", partition.0),
            Key::Lock(name) => format!("{prefix}locks/{name}"),
        }
    }

    /// `None` for what a later build, or a stranger, has put there.
    pub(crate) fn read(&self, key: &[u8]) -> Option<Key> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let partition = |text: &str| {
            let number: u16 = text.parse().ok()?;
            // One partition has one key: no zeros before it, no sign.
            (number.to_string() == text).then_some(PartitionId(number))
        };
        match rest.split_once('/') {
            None if rest == "leader" => Some(Key::Leader),
            None if rest == "placement" => Some(Key::Placement),
            Some(("nodes", node)) => Some(Key::Node(NodeId::parse(node).ok()?)),
            Some(("seen", node)) => Some(Key::Seen(NodeId::parse(node).ok()?)),
            Some(("drains", node)) => Some(Key::Drain(NodeId::parse(node).ok()?)),
            Some(("pins", text)) => Some(Key::Pin(partition(text)?)),
            Some(("claims", text)) => Some(Key::Claim(partition(text)?)),
            Some(("locks", name)) => Some(Key::Lock(name.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_frozen_and_read_back() {
        let keys = Keys::new("shop-eu");
        let node = NodeId::parse("n-1").unwrap();
        let all = [
            (Key::Node(node.clone()), "/retailflow/shop-eu/nodes/n-1"),
            (Key::Seen(node.clone()), "/retailflow/shop-eu/seen/n-1"),
            (Key::Drain(node), "/retailflow/shop-eu/drains/n-1"),
            (Key::Pin(PartitionId(7)), "/retailflow/shop-eu/pins/7"),
            (Key::Leader, "/retailflow/shop-eu/leader"),
            (Key::Placement, "/retailflow/shop-eu/placement"),
            (Key::Claim(PartitionId(127)), "/retailflow/shop-eu/claims/127"),
            (Key::Lock("topology".into()), "/retailflow/shop-eu/locks/topology"),
        ];
        for (key, text) in all {
            assert_eq!(keys.of(&key), text);
            assert_eq!(keys.read(text.as_bytes()), Some(key));
        }
        for strange in ["claims/07", "claims/+7", "claims/70000", "claims/", "nodes/A", "leader/x", "later"] {
            let key = format!("/retailflow/shop-eu/{strange}");
            assert_eq!(keys.read(key.as_bytes()), None, "{strange}");
        }
        assert_eq!(keys.read(b"/retailflow/shop/leader"), None, "another cluster's");
        assert_eq!(keys.read(b"\xff"), None);
    }
}
