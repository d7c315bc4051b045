//! What holds for all bytes and all values.

use proptest::prelude::*;
use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::codec::{CodecError, identity, peek, record, snapshot, v1};
use retailflow_engine::order::Aggregate;

use crate::raw::{HEADER_BYTES, Payload, envelope, fix_checksum, from_hex, golden};
use crate::{random, values, variants};

/// Gives `bytes` to everything that reads stored bytes. Whatever one of them takes, it takes again as it writes it.
pub(crate) fn feed(bytes: &[u8]) {
    let order = values::order();
    drop((peek(bytes), record::summary(bytes), Aggregate::outcomes_in(bytes)));
    drop(Aggregate::new(order.clone()).fold(bytes, 10));
    drop(Aggregate::from_snapshot(&order, [0x11; 16], bytes));
    if let Ok(value) = v1::decode(bytes) {
        assert_eq!(v1::decode(&v1::encode(&value).unwrap()), Ok(value));
    }
    if let Ok(value) = snapshot::decode(bytes) {
        assert_eq!(snapshot::decode(&snapshot::encode(&value).unwrap()), Ok(value));
    }
    if let Ok(value) = Fence::decode(bytes) {
        assert_eq!(Fence::decode(&value.encode().unwrap()), Ok(value));
    }
    if let Ok(value) = Cursor::decode(bytes) {
        assert_eq!(Cursor::decode(&value.encode().unwrap()), Ok(value));
        assert_eq!(Cursor::from_token(&value.to_token().unwrap()), Ok(value));
    }
    if let Ok(value) = identity::decode(bytes) {
        assert_eq!(identity::decode(&identity::encode(&value).unwrap()), Ok(value));
    }
    if let Ok(value) = Deadline::decode(bytes) {
        assert_eq!(Deadline::decode(&value.encode().unwrap()), Ok(value));
    }
    if let Ok(value) = Control::decode(bytes) {
        assert_eq!(Control::decode(&value.encode().unwrap()), Ok(value));
    }
    if let Ok(value) = Note::decode(bytes) {
        assert_eq!(Note::decode(&value.encode().unwrap()), Ok(value));
    }
}

/// All golden files, as bytes.
pub(crate) fn goldens() -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(golden("codec")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "hex")).collect();
    files.sort();
    assert!(files.len() > 20, "the golden files are there");
    files.iter().map(|path| from_hex(&std::fs::read_to_string(path).unwrap())).collect()
}

/// One change of some bytes behind the header.
fn mutate(bytes: &mut Vec<u8>, at: usize, how: u8, what: u64) {
    let at = HEADER_BYTES + at % (bytes.len() - HEADER_BYTES + 1);
    let end = bytes.len();
    match how {
        0 if at < end => bytes[at] ^= 1 << (what % 8),
        1 if at < end => bytes[at] = what as u8,
        2 => bytes.insert(at, what as u8),
        3 if at < end => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        // A length or a variant's number as large as can be.
        5 if at < end => drop(bytes.splice(at..=at, [253u8].into_iter().chain(what.to_le_bytes()))),
        6 if at < end => drop(bytes.splice(at..=at, [253, 255, 255, 255, 255, 255, 255, 255, 255])),
        7 => bytes[3] = (what % 3) as u8,
        8 => bytes[1] = (what % 11) as u8,
        _ => bytes.push(what as u8),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed(&bytes);
        let mut framed = bytes.clone();
        if let Some(format) = framed.first_mut() {
            *format = 1;
        }
        fix_checksum(&mut framed);
        feed(&framed);
        for schema in 1..=10 {
            feed(&envelope(1, schema, 1, &bytes));
        }
        feed(&envelope(1, 1, 0, &bytes));
    }

    #[test]
    fn no_change_of_stored_bytes_makes_a_decoder_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<usize>(), 0..10u8, any::<u64>()), 1..4),
    ) {
        let all = goldens();
        let mut bytes = which.get(&all).clone();
        for (at, how, what) in changes {
            mutate(&mut bytes, at, how, what);
        }
        fix_checksum(&mut bytes);
        feed(&bytes);
    }

    #[test]
    fn a_record_is_read_as_it_was_written(seed in any::<u64>()) {
        let record = random::record(seed);
        let bytes = v1::encode(&record).unwrap();
        prop_assert_eq!(v1::decode(&bytes).unwrap(), record);
        let mut longer = bytes.clone();
        longer.push(0);
        fix_checksum(&mut longer);
        prop_assert!(matches!(v1::decode(&longer), Err(CodecError::Corrupt(_))), "a byte too many");
        let mut shorter = bytes.clone();
        shorter.pop();
        fix_checksum(&mut shorter);
        prop_assert!(v1::decode(&shorter).is_err(), "a byte too few");
    }
}

/// Every single byte of every golden file, changed to each of a few values: thousands of near misses.
#[test]
fn every_byte_of_every_golden_file_may_be_wrong() {
    for bytes in goldens() {
        for at in HEADER_BYTES..bytes.len() {
            for value in [0, 1, 2, 12, 250, 251, 253, 255] {
                let mut changed = bytes.clone();
                changed[at] = value;
                fix_checksum(&mut changed);
                drop(v1::decode(&changed));
                drop((snapshot::decode(&changed), Fence::decode(&changed), identity::decode(&changed)));
                drop((Control::decode(&changed), Note::decode(&changed), Cursor::decode(&changed)));
                drop(Deadline::decode(&changed));
            }
        }
    }
}

/// Newer is told from damaged, for everything stored; a version that never was is not taken for the first one.
#[test]
fn newer_versions_are_unsupported_and_older_ones_known() {
    for (bytes, schema) in goldens().into_iter().map(|bytes| (bytes.clone(), bytes[1])) {
        let decode = |bytes: &[u8]| -> Result<(), CodecError> {
            match schema {
                1 => v1::decode(bytes).map(drop),
                2 => snapshot::decode(bytes).map(drop),
                3 => Fence::decode(bytes).map(drop),
                4 => Deadline::decode(bytes).map(drop),
                5 => Cursor::decode(bytes).map(drop),
                7 => identity::decode(bytes).map(drop),
                8 => Control::decode(bytes).map(drop),
                9 => Note::decode(bytes).map(drop),
                other => panic!("schema {other} has no golden file"),
            }
        };
        if schema == 2 && bytes[3] < 5 {
            assert!(
                matches!(decode(&bytes), Err(CodecError::Unsupported { known: 5, .. })),
                "a snapshot of old"
            );
            continue;
        }
        decode(&bytes).unwrap();
        let newest: u16 = if schema == 2 { 5 } else { 1 };
        for version in [newest + 1, 255, 256, u16::MAX] {
            let mut newer = bytes.clone();
            newer[3..5].copy_from_slice(&version.to_le_bytes());
            fix_checksum(&mut newer);
            let answer = decode(&newer);
            let expected = matches!(&answer, Err(CodecError::Unsupported { found, known, .. }) if (*found, *known) == (version, newest));
            assert!(expected, "schema {schema} version {version}: {answer:?}");
        }
        if schema != 1 {
            let mut older = bytes.clone();
            older[3] = 0;
            fix_checksum(&mut older);
            assert!(
                matches!(decode(&older), Err(CodecError::Corrupt(_))),
                "schema {schema} had no version 0"
            );
        }
        let mut other = bytes;
        other[1] = 6;
        fix_checksum(&mut other);
        assert!(matches!(decode(&other), Err(CodecError::Corrupt(_))), "schema {schema} as another one");
    }
}

/// What is written can be read, up to the limit: also where bytes are few and fields many.
#[test]
fn every_record_that_can_be_written_can_be_read() {
    for count in [10_000, 32_000, 33_000, 400_000, 1_000_000, 1_990_000, 2_100_000] {
        let components = vec![v1::ComponentV1 { kind: v1::ComponentKindV1::Fee, amount_minor: 1 }; count];
        let placed = v1::PlacedV1 { components, ..values::placed() };
        let record = values::with_events(vec![v1::EventV1::Placed(Box::new(placed))]);
        match v1::encode(&record) {
            Ok(bytes) => {
                assert!(v1::decode(&bytes).as_ref() == Ok(&record), "{count} components were written")
            }
            Err(error) => {
                assert!(matches!(error, CodecError::TooLarge { .. }) && count > 2_000_000, "{error}")
            }
        }
    }
}

/// A length is not believed before its bytes are there. Measured in a process of its own, away from the other tests.
#[test]
fn huge_declared_lengths_take_no_memory() {
    const ALONE: &str = "RETAILFLOW_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
        itself.args(["--exact", "properties::huge_declared_lengths_take_no_memory"]).env(ALONE, "1");
        let output = itself.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let before = resident_kb();
    let names = || Payload::default().text("cdnow").text("o-1997_00042").number(0).bytes(&[0; 32]);
    for length in [500 << 10, 4 << 20, 16 << 20, 33 << 20, 1 << 40, u64::MAX] {
        for round in 0..200 {
            let payloads = [
                Payload::default().number(length),
                Payload::default().number(length).bytes(&[b'x'; 100]),
                Payload::default().text("cdnow").number(length),
                // decisions; a checkpoint's state; a closed order's summary and outcomes
                names().number(0).number(length),
                names().number(1).number(0).number(0).number(length),
                names().number(2).number(length),
                names().number(2).number(0).number(length),
            ];
            for payload in payloads {
                for schema in 1..=9 {
                    let bytes = envelope(1, schema, 1, &payload.0);
                    if round == 0 {
                        feed(&bytes);
                    }
                    assert!(v1::decode(&bytes).is_err());
                }
            }
        }
    }
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KB more for lengths that were only told");
}

/// The most memory that this process ever had, in kilobytes; 0 where the system does not say.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn what_is_too_large_is_refused_when_written() {
    let state = vec![1; retailflow_engine::codec::envelope::PAYLOAD_MAX_BYTES + 1];
    let body = v1::CheckpointV1 {
        version: 1,
        revision: 1,
        state,
        ids_digest: [0; 32],
        deadline: v1::DeadlineV1::Clear,
    };
    let record = v1::RecordV1 { body: v1::BodyV1::Checkpoint(body), ..values::record(vec![]) };
    assert!(matches!(v1::encode(&record), Err(CodecError::TooLarge { .. })));
    let largest = variants::records().iter().map(|(_, record)| v1::encode(record).unwrap().len()).max();
    assert!(largest < Some(4096), "golden files stay small");
}
