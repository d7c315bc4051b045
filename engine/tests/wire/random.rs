use crate::PLACE;
use proptest::prelude::*;
use retailflow_engine::wire::{CommandType, Status, decode_command, decode_data};

fn check(bytes: &[u8]) {
    match decode_command(bytes) {
        Ok(command) => {
            let text = serde_json::to_vec(&command).unwrap();
            let again =
                decode_command(&text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
            assert_eq!(again, command);
            assert_eq!(again.content_hash(), command.content_hash());
        }
        Err(error) => {
            assert!(error.message.chars().count() < 600 && !error.message.is_empty(), "{error:?}");
            assert!(error.path.as_ref().is_none_or(|path| path.chars().count() < 320), "{error:?}");
            assert_eq!(error.to_outcome().status, Status::Refused);
        }
    }
    for kind in CommandType::ALL {
        let _ = decode_data(*kind, bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn any_text_is_answered(text in "[{}\\[\\]\":,0-9a-zé\\\\ .eE+-]{0,120}") {
        check(text.as_bytes());
    }

    #[test]
    fn a_command_with_bytes_changed_is_answered(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = PLACE.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        check(&bytes);
    }

    #[test]
    fn a_command_with_a_value_replaced_is_answered(
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "null", "true", "[]", "{}", "\"\"", "-1", "0", "1.5", "1e400", "9007199254740992", "-0", "\"\\u0000\"",
            "[[[[[[]]]]]]", "{\"a\":{}}", "\"\\ud800\"", "99999999999999999999999",
        ]),
    ) {
        let colons: Vec<_> = PLACE.match_indices(": ").map(|(i, _)| i + 2).collect();
        let start = colons[at.index(colons.len())];
        let end = start + PLACE[start..].find(['\n', ',']).unwrap();
        check(format!("{}{value}{}", &PLACE[..start], &PLACE[end..]).as_bytes());
    }
}
