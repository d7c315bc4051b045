//! `keys.json`: where orders live, what participants are told, how records chain.

use retailflow_engine::codec::fence::{fence_hash, group_digest};
use retailflow_engine::ids::{CommandId, CommandKey, OrderId, OrderRef, Source, TenantId};
use retailflow_engine::keys::*;
use serde_json::{Value, json};

use crate::raw::compare;

fn order(tenant: &str, order: &str) -> OrderRef {
    OrderRef { tenant: TenantId::parse(tenant).unwrap(), order: OrderId::parse(order).unwrap() }
}

const ORDERS: [(&str, &str); 8] = [
    ("foo", "bar"),
    ("f", "oobar"),
    ("a", "a"),
    ("cdnow", "o-1997_00042"),
    ("cdnow", "o-1997_00043"),
    ("shop-1", "A_z-9"),
    ("0", "---"),
    ("tenant-with-a-name-of-63-characters-0123456789-0123456789-abcde", "O"),
];

const COMMANDS: [(&str, &str); 4] = [
    ("/shops/web", "c-1"),
    ("/shops/web", "c-2"),
    ("urn:x", "any printable ~ text"),
    ("retailflow/import", "cdnow/o-1997_00042"),
];

const EFFECTS: [(&str, u32, u32); 5] = [
    ("reserve", 1, 0),
    ("reserve", 1, 1),
    ("reserve", 2, 0),
    ("capture", 1, 0),
    ("cancel_shipment", u32::MAX, u32::MAX),
];

fn vectors() -> Value {
    let partitions = |order: &OrderRef| -> Value {
        let of = |count: u16| (count.to_string(), json!(partition_of(order, count).0));
        Value::Object([1, 2, 7, 128, 1_000, 65_521, 65_535].map(of).into_iter().collect())
    };
    let placed = ORDERS.map(|(tenant, name)| {
        let order = order(tenant, name);
        json!({
            "tenant": tenant,
            "order": name,
            "partition_of": partitions(&order),
            "order_key": hex(&order_key(&order)),
        })
    });
    let commands = COMMANDS.map(|(source, id)| {
        let key = CommandKey { source: Source::parse(source).unwrap(), id: CommandId::parse(id).unwrap() };
        json!({ "source": source, "id": id, "fingerprint": format!("{:016x}", command_fingerprint(&key)) })
    });
    let of = order("cdnow", "o-1997_00042");
    let effects = EFFECTS.map(|(step, instance, generation)| {
        let key = idempotency_key(&of, step, None, instance, generation);
        let part = idempotency_key(&of, step, Some("p1"), instance, generation);
        json!({ "step": step, "instance": instance, "generation": generation, "key": key, "key_of_part_p1": part })
    });
    let bytes: [&[u8]; 3] = [b"", b"a record", &[0; 100]];
    let chains = bytes.map(|bytes| {
        json!({ "bytes": hex(bytes), "chain_hash": hex(&chain_hash(bytes)), "fence_hash": hex(&fence_hash(bytes)) })
    });
    let groups: [&[&[u8]]; 4] = [&[], &[b""], &[b"ab", b"c"], &[b"a", b"bc"]];
    let digests = groups.map(|entries| {
        let shown: Vec<String> = entries.iter().map(|entry| hex(entry)).collect();
        json!({ "entries": shown, "group_digest": hex(&group_digest(entries.iter().copied())) })
    });
    json!({
        "partition_hash": PARTITION_HASH_NAME,
        "orders": placed,
        "commands": commands,
        "effects": { "tenant": "cdnow", "order": "o-1997_00042", "steps": effects },
        "chain": chains,
        "groups": digests,
    })
}

#[test]
fn keys_are_frozen() {
    compare("keys.json", &(serde_json::to_string_pretty(&vectors()).unwrap() + "\n"));
}

/// Published vectors of FNV-1a, 32 bit, as far as they are ids: the tenant's bytes, then the order's.
#[test]
fn the_partition_hash_is_fnv_1a() {
    let known: [(&str, &str, u32); 6] = [
        ("f", "o", 0x6222_e842),
        ("f", "oo", 0xa9f3_7ed7),
        ("foo", "b", 0x3f50_76ef),
        ("foo", "ba", 0x39aa_a18a),
        ("foo", "bar", 0xbf9c_f968),
        ("f", "oobar", 0xbf9c_f968),
    ];
    for (tenant, name, hash) in known {
        for partitions in [1, 2, 3, 7, 128, 4_096, 65_521, 65_535] {
            let found = partition_of(&order(tenant, name), partitions).0;
            assert_eq!(u32::from(found), hash % u32::from(partitions), "{tenant}{name} among {partitions}");
        }
    }
    assert_eq!(partition_of(&order("a", "b"), 0).0, 0, "no partitions count as one");
}

#[test]
fn an_idempotency_key_fits_a_participants_field() {
    let mut keys = std::collections::BTreeSet::new();
    for (tenant, name) in ORDERS {
        for (step, instance, generation) in EFFECTS {
            let key = idempotency_key(&order(tenant, name), step, None, instance, generation);
            let (prefix, rest) = key.split_at(4);
            let base32 = rest.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte));
            assert!(key.len() == 36 && prefix == "rf1-" && base32, "{key}");
            assert!(keys.insert(key), "two effects under one key");
        }
    }
}

/// Names that run together differently are different orders to everything but the partition.
#[test]
fn names_are_kept_apart() {
    let (one, two) = (order("ab", "c"), order("a", "bc"));
    assert_ne!(order_key(&one), order_key(&two));
    assert_ne!(idempotency_key(&one, "void", None, 1, 0), idempotency_key(&two, "void", None, 1, 0));
    assert_ne!(idempotency_key(&one, "void", None, 1, 0), idempotency_key(&one, "void", None, 0, 1));
    let of = |part| idempotency_key(&one, "authorize", part, 1, 0);
    assert_ne!(of(Some("p1")), of(Some("p2")), "two payments of one step are charged under two keys");
    assert_ne!(of(Some("")), of(None));
}
