//! `corpus/*.hex`: nasty inputs, kept. A file's name says how every decoder must answer that knows its schema:
//! `corrupt-*`, `unsupported-*` or `accepted-*`. A failure found by the property tests is put here.

use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::codec::{CodecError, identity, snapshot, v1};

use crate::raw::{Payload, blessing, envelope, from_hex, golden, to_hex};

fn decode(bytes: &[u8]) -> Result<(), CodecError> {
    match bytes.get(1) {
        Some(2) => snapshot::decode(bytes).map(drop),
        Some(3) => Fence::decode(bytes).map(drop),
        Some(5) => Cursor::decode(bytes).map(drop),
        Some(7) => identity::decode(bytes).map(drop),
        Some(8) => Control::decode(bytes).map(drop),
        Some(9) => Note::decode(bytes).map(drop),
        _ => v1::decode(bytes).map(drop),
    }
}

#[test]
fn the_corpus_is_answered_as_its_names_say() {
    if blessing() {
        write_seeds();
    }
    let mut count = 0;
    for entry in std::fs::read_dir(golden("corpus")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = from_hex(&std::fs::read_to_string(&path).unwrap());
        crate::properties::feed(&bytes);
        let found = match decode(&bytes) {
            Ok(()) => "accepted",
            Err(CodecError::Unsupported { .. }) => "unsupported",
            Err(_) => "corrupt",
        };
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(name.split('-').next(), Some(found), "{name}: {:?}", decode(&bytes));
        count += 1;
    }
    assert!(count >= 30, "{count} inputs");
}

/// Names, revision 0, no predecessor: what stands before a record's body.
fn names() -> Payload {
    Payload::default().text("cdnow").text("o-1").number(0).bytes(&[0; 32])
}

/// A decision up to its verdict.
fn decision(payload: Payload) -> Payload {
    let payload = payload.text("/s").text("c").number(0).bytes(&[1; 32]);
    payload.number(0).number(0).number(0).signed(5).number(1).number(0)
}

fn write_seeds() {
    let one = || decision(names().number(0).number(1));
    let whole = one().number(0).number(1).number(0).number(0);
    let record = |payload: Payload| envelope(1, 1, 1, &payload.0);
    let mut wrong_sum = record(decision(names().number(0).number(1)));
    wrong_sum[5] ^= 1;
    let park = || Payload::default().number(0);
    let fence_start = || Payload::default().number(1).number(1).number(1).bytes(&[0; 64]);
    let identity_end = |hash: &str, grammar: u64, partitions: u64| {
        let payload = Payload::default().bytes(&[7; 16]).text("c").number(partitions).number(1);
        envelope(1, 7, 1, &payload.text(hash).number(grammar).signed(0).0)
    };
    let snapshot_start = || {
        let payload = Payload::default().bytes(&[7; 16]).text("cdnow").text("o-1").number(1);
        payload.bytes(&[0; 32]).number(1)
    };
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("corrupt-empty", vec![]),
        ("corrupt-eight-bytes", vec![1, 1, 0, 1, 0, 0, 0, 0]),
        ("corrupt-only-zeros", vec![0; 64]),
        ("corrupt-only-ones", vec![0xff; 64]),
        ("corrupt-wrong-checksum", wrong_sum),
        ("corrupt-no-payload", envelope(1, 1, 1, &[])),
        ("corrupt-unknown-schema", envelope(1, 99, 1, &[1, 2, 3])),
        ("corrupt-schema-zero", envelope(1, 0, 1, &[1, 2, 3])),
        ("unsupported-newer-version", envelope(1, 1, 2, &[1, 2, 3])),
        ("unsupported-newest-version", envelope(1, 3, u16::MAX, &[])),
        ("unsupported-newer-format", envelope(2, 1, 1, &whole.0)),
        ("unsupported-format-zero", envelope(0, 1, 1, &whole.0)),
        ("accepted-smallest-decision", record(Payload(whole.0.clone()))),
        ("accepted-no-decisions", record(names().number(0).number(0))),
        (
            "accepted-numbers-longer-than-needed",
            record({
                let payload = Payload::default().text("cdnow").text("o-1").wide(0).bytes(&[0; 32]);
                payload.number(0).wide(0)
            }),
        ),
        ("corrupt-variant-in-64-bits", record(names().wide(0).number(0))),
        ("corrupt-trailing-byte", record(Payload(whole.0.clone()).number(0))),
        (
            "corrupt-cut-in-a-hash",
            record(Payload::default().text("cdnow").text("o-1").number(0).bytes(&[0; 31])),
        ),
        ("corrupt-body-of-no-variant", record(names().number(3))),
        ("corrupt-body-variant-beyond-32-bits", record(names().wide(1 << 32))),
        ("corrupt-body-variant-of-max", record(names().wide(u64::MAX))),
        ("corrupt-verdict-of-no-variant", record(one().number(2).number(1))),
        ("corrupt-event-of-no-variant", record(one().number(0).number(1).number(1).number(12))),
        ("corrupt-deadline-of-no-variant", record(one().number(0).number(1).number(0).number(3))),
        (
            "corrupt-option-that-is-neither",
            record({
                let payload = names().number(0).number(1).text("/s").text("c").number(0).bytes(&[1; 32]);
                payload.number(0).number(2)
            }),
        ),
        ("corrupt-text-is-not-utf8", record(Payload::default().number(2).bytes(&[0xc3, 0x28]))),
        ("corrupt-text-as-long-as-can-be", record(Payload::default().wide(u64::MAX))),
        ("corrupt-text-of-four-gigabytes", record(Payload::default().number(u64::from(u32::MAX)))),
        ("corrupt-text-just-within-the-limit", record(Payload::default().number(4 << 20).bytes(b"abc"))),
        ("corrupt-decisions-without-end", record(names().number(0).wide(u64::MAX))),
        ("corrupt-decisions-that-are-not-there", record(names().number(0).number(1_000_000))),
        ("corrupt-number-marked-as-128-bit", record(Payload::default().bytes(&[254; 20]))),
        ("corrupt-number-marked-as-reserved", record(Payload::default().bytes(&[255; 20]))),
        ("corrupt-number-cut-short", record(Payload::default().bytes(&[253, 1, 2]))),
        ("corrupt-version-0-read-as-1", envelope(1, 1, 0, &whole.0)),
        (
            "corrupt-control-tenant-outside-the-grammar",
            envelope(1, 8, 1, &park().text("a.b").text("o").text("r").signed(0).0),
        ),
        ("corrupt-control-order-empty", envelope(1, 8, 1, &park().text("a").text("").text("r").signed(0).0)),
        ("corrupt-control-of-no-variant", envelope(1, 8, 1, &Payload::default().number(3).0)),
        ("corrupt-note-of-no-variant", envelope(1, 9, 1, &Payload::default().number(2).0)),
        (
            "corrupt-note-flag-that-is-neither",
            envelope(1, 9, 1, &Payload::default().number(1).text("a").number(2).number(0).0),
        ),
        ("corrupt-fence-partition-beyond-16-bits", envelope(1, 3, 1, &Payload::default().number(70_000).0)),
        ("corrupt-fence-entries-beyond-32-bits", envelope(1, 3, 1, &fence_start().wide(1 << 33).0)),
        (
            "corrupt-cursor-without-an-index",
            envelope(1, 5, 1, &Payload::default().bytes(&[7; 16]).number(1).0),
        ),
        (
            "corrupt-cursor-index-beyond-32-bits",
            envelope(1, 5, 1, &Payload::default().bytes(&[7; 16]).number(1).wide(1 << 32).0),
        ),
        (
            "corrupt-fence-floors-without-end",
            envelope(1, 3, 1, &fence_start().number(0).wide(u64::MAX >> 1).0),
        ),
        ("corrupt-identity-of-no-partitions", identity_end("fnv1a32(tenant+order)%P", 1, 0)),
        ("unsupported-identity-other-hash", identity_end("murmur3", 1, 128)),
        ("unsupported-identity-newer-grammar", identity_end("fnv1a32(tenant+order)%P", 2, 128)),
        ("corrupt-snapshot-status-of-no-variant", envelope(1, 2, 5, &snapshot_start().number(1).number(4).0)),
        (
            "corrupt-snapshot-ids-without-end",
            envelope(1, 2, 5, &snapshot_start().number(0).number(0).number(0).number(0).wide(1 << 60).0),
        ),
    ];
    std::fs::create_dir_all(golden("corpus")).unwrap();
    for (name, bytes) in seeds {
        std::fs::write(golden(&format!("corpus/{name}.hex")), to_hex(&bytes)).unwrap();
    }
}
