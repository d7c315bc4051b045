//! `codec/*.hex`, the stored bytes, and `codec/*.txt`, what they mean.

use std::collections::BTreeSet;
use std::fmt::Debug;

use retailflow_engine::codec::control::{Control, Note};
use retailflow_engine::codec::cursor::Cursor;
use retailflow_engine::codec::deadline::Deadline;
use retailflow_engine::codec::fence::Fence;
use retailflow_engine::codec::{CodecError, identity, snapshot, v1};

use crate::raw::{Payload, compare, envelope, from_hex, golden, to_hex};
use crate::{values, variants};

/// Pretty text with lists of numbers on one line.
fn text_of(value: &impl Debug) -> String {
    let mut text = String::new();
    let mut in_numbers = false;
    for line in format!("{value:#?}").lines() {
        let trimmed = line.trim();
        let number = trimmed.strip_suffix(',').is_some_and(|n| n.parse::<u8>().is_ok());
        match (in_numbers, number) {
            (true, true) => text.push(' '),
            (false, true) => drop(text.pop()),
            (true, false) => {}
            (false, false) => text.push_str(&line[..line.len() - trimmed.len()]),
        }
        text.push_str(trimmed);
        in_numbers = number;
        if !number {
            text.push('\n');
        }
    }
    text
}

#[track_caller]
fn pinned<T: Debug + PartialEq>(
    name: &str,
    value: &T,
    encode: impl Fn(&T) -> Result<Vec<u8>, CodecError>,
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
) {
    compare(&format!("codec/{name}.hex"), &to_hex(&encode(value).unwrap()));
    compare(&format!("codec/{name}.txt"), &text_of(value));
    let stored = from_hex(&std::fs::read_to_string(golden(&format!("codec/{name}.hex"))).unwrap());
    assert_eq!(decode(&stored).unwrap(), *value, "what {name}.hex says");
    assert_eq!(encode(value).unwrap(), stored, "how {name} is written");
}

#[test]
fn records_of_version_1_are_frozen() {
    for (name, record) in variants::records() {
        pinned(name, &record, v1::encode, v1::decode);
    }
}

#[test]
fn everything_else_that_is_stored_is_frozen() {
    for (name, value) in values::snapshots_v5() {
        pinned(name, &value, snapshot::encode, snapshot::decode);
    }
    for (name, value) in values::fences() {
        pinned(name, &value, Fence::encode, Fence::decode);
    }
    for (name, value) in values::deadlines() {
        pinned(name, &value, Deadline::encode, Deadline::decode);
    }
    for (name, value) in values::controls() {
        pinned(name, &value, Control::encode, Control::decode);
    }
    for (name, value) in values::notes() {
        pinned(name, &value, Note::encode, Note::decode);
    }
    pinned("cursor", &values::cursor(), Cursor::encode, Cursor::decode);
    // Readers keep it as text.
    compare("codec/cursor_token.txt", &(values::cursor().to_token().unwrap() + "\n"));
    pinned("identity", &values::identity(), identity::encode, identity::decode);
}

/// Snapshots of versions 1 to 4 do not say all that later ones do. They are no damage, and nobody reads them: the log
/// has it all.
#[test]
fn a_snapshot_of_an_earlier_version_is_unsupported() {
    let earlier = values::snapshots().into_iter().map(|(name, value)| (name, text_of(&value)));
    let earlier =
        earlier.chain(values::snapshots_v2().into_iter().map(|(name, value)| (name, text_of(&value))));
    let earlier =
        earlier.chain(values::snapshots_v3().into_iter().map(|(name, value)| (name, text_of(&value))));
    let earlier =
        earlier.chain(values::snapshots_v4().into_iter().map(|(name, value)| (name, text_of(&value))));
    for (name, text) in earlier {
        compare(&format!("codec/{name}.txt"), &text);
        let stored = from_hex(&std::fs::read_to_string(golden(&format!("codec/{name}.hex"))).unwrap());
        let read = snapshot::decode(&stored);
        assert!(matches!(read, Err(CodecError::Unsupported { known: 5, .. })), "{name}: {read:?}");
    }
}

/// The made-up version 0, written by hand as its writer would have: read as version 1.
#[test]
fn a_record_of_version_0_is_read_for_ever() {
    let payload = |rejected: Option<&str>| {
        let payload = Payload::default().text("cdnow").text("o-1997_00042").number(300).bytes(&[0x5a; 32]);
        let payload = payload.text("/shops/web").text("c-7").bytes(&[7; 32]).signed(values::AT_MS);
        let payload = match rejected {
            None => payload.number(0),
            Some(code) => payload.number(1).text(code),
        };
        payload.number(4).0
    };
    for (name, rejected) in [("record_v0_applied", None), ("record_v0_rejected", Some("order_exists"))] {
        let bytes = envelope(1, 1, 0, &payload(rejected));
        compare(&format!("codec/{name}.hex"), &to_hex(&bytes));
        let record = v1::decode(&bytes).unwrap();
        compare(&format!("codec/{name}.txt"), &text_of(&record));
        assert_eq!(v1::decode(&v1::encode(&record).unwrap()).unwrap(), record, "as version 1");
    }
}

/// A record of version 1 written by hand from the format's description alone: the codec and the description agree.
#[test]
fn the_format_is_what_it_is_said_to_be() {
    let mut records = variants::records().into_iter();
    let (_, record) = records.find(|(name, _)| *name == "record_deadlines").unwrap();
    let mut payload = Payload::default().text("cdnow").text("o-1997_00042").number(2).bytes(&[0x5a; 32]);
    payload = payload.number(0).number(3);
    for number in 0..3u8 {
        payload = payload.text("/shops/web").text(&format!("c-{number}")).number(0).bytes(&[number; 32]);
        // actor, no causation, no time, received, policy, no trace
        payload = payload.number(0).number(0).number(0).signed(values::AT_MS).number(1).number(0);
        // verdict and version, no events, deadline
        payload = payload.number(0).number(1).number(0).number(number.into());
        if number == 1 {
            payload = payload.signed(values::AT_MS);
        }
    }
    assert_eq!(v1::encode(&record).unwrap(), envelope(1, 1, 1, &payload.0));
}

/// Every file belongs to a test: a golden file that nobody compares pins nothing.
#[test]
fn no_golden_file_is_left_over() {
    let mut known: BTreeSet<String> =
        variants::records().iter().map(|(name, _)| (*name).to_owned()).collect();
    known.extend(
        ["record_v0_applied", "record_v0_rejected", "identity", "cursor", "cursor_token"].map(str::to_owned),
    );
    known.extend(values::snapshots().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::snapshots_v2().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::snapshots_v3().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::snapshots_v4().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::snapshots_v5().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::fences().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::deadlines().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::controls().iter().map(|(name, _)| (*name).to_owned()));
    known.extend(values::notes().iter().map(|(name, _)| (*name).to_owned()));
    for entry in std::fs::read_dir(golden("codec")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(known.contains(name), "{} belongs to no test", path.display());
    }
}
