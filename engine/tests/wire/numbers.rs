//! Numbers are read by their digits, wherever one may stand; and components have the sign of what they are.

use proptest::prelude::*;
use retailflow_engine::wire::{
    Code, CommandData, CommandType, DecodeError, decode_command, decode_data, decode_tenant_change,
};

use crate::PLACE;

/// An order of one line of this amount, in digits as they stand.
fn place(amount: &str) -> String {
    format!(
        r#"{{"customer":"c","currency":"USD","lines":[{{"line_id":"1","sku":"s","quantity":1,"amount_minor":{amount}}}]}}"#
    )
}

fn amount_of(digits: &str) -> Result<i64, DecodeError> {
    match decode_data(CommandType::Place, place(digits).as_bytes())? {
        CommandData::Place(place) => Ok(place.lines[0].amount_minor.minor()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_amount_that_is_not_exactly_whole_is_refused_with_its_digits() {
    for digits in [
        "124461.99999999999",
        "15680.000000000002",
        "4503599627370497.5",
        "1e-400",
        "0.1",
        "1e-1",
        "0.99999999999999999999999",
        "-0.00000000000000000000001",
        "100.000000000000000000000000000001",
    ] {
        let error = amount_of(digits).expect_err(digits);
        assert_eq!((error.code, error.path.as_deref()), (Code::InvalidAmount, Some("lines[0].amount_minor")));
        assert!(error.message.starts_with(&format!("{digits} is not a whole number")), "{error:?}");
    }
    for digits in ["9007199254740991.5", "9007199254740992.0", "9007199254740993.0", "1e16", "1e300", "1e400"]
    {
        let error = amount_of(digits).expect_err(digits);
        assert_eq!(
            (error.code, error.path.as_deref()),
            (Code::AmountOverflow, Some("lines[0].amount_minor"))
        );
    }
}

#[test]
fn a_whole_number_is_taken_however_it_is_spelt() {
    for (digits, amount) in [
        ("1.0", 1),
        ("1e3", 1000),
        ("1E+3", 1000),
        ("-0", 0),
        ("-0.0", 0),
        ("0e-400", 0),
        ("1177.000000000000000000000000", 1177),
        ("9007199254740991.0", (1 << 53) - 1),
        ("90071992547409910e-1", (1 << 53) - 1),
        ("1.2345e4", 12_345),
    ] {
        assert_eq!(amount_of(digits), Ok(amount), "{digits}");
        let hash = |digits: &str| {
            decode_data(CommandType::Place, place(digits).as_bytes())
                .map(|data| retailflow_engine::wire::content_hash(&data))
        };
        assert_eq!(hash(digits), hash(&amount.to_string()), "{digits} is the same command");
    }
    // Not JSON, and not made into it.
    for digits in ["01", "01.0", "1.", ".5", "+1", "1e", "0x10", "NaN", "--0"] {
        assert_eq!(amount_of(digits).unwrap_err().code, Code::MalformedJson, "{digits}");
    }
    assert!(amount_of("1.0.0").is_err());
}

/// All numbers of the contract, and what a number that is no whole one is told.
#[test]
fn one_rule_for_all_numbers() {
    let line = |rest: &str| format!(r#"{{"lines":[{{"line_id":"1",{rest}}}],"reason":"r"}}"#);
    let version = |version: &str| format!(r#"{{"reason":"r","expected_version":{version}}}"#);
    let part = |amount: &str| {
        place("1")
            .replace("}]}", &format!("}}],\"components\":[{{\"kind\":\"tax\",\"amount_minor\":{amount}}}]}}"))
    };
    let payment = |amount: &str| {
        let payment = format!(
            "}}],\"payments\":[{{\"payment_id\":\"p\",\"token_ref\":\"t\",\"amount_minor\":{amount}}}]}}"
        );
        place("1").replace("}]}", &payment)
    };
    let quantity = |quantity: &str| line(&format!("\"quantity\":{quantity}"));
    let returned = |amount: &str| line(&format!("\"quantity\":1,\"amount_minor\":{amount}"));
    let reported = |amount: &str| {
        format!(r#"{{"step":"book","reference":"r","outcome":"done","amount_minor":{amount}}}"#)
    };
    type Place<'a> = (CommandType, &'a dyn Fn(&str) -> String, Code);
    let places: [Place<'_>; 6] = [
        (CommandType::Return, &quantity, Code::InvalidQuantity),
        (CommandType::Return, &returned, Code::InvalidAmount),
        (CommandType::Report, &reported, Code::InvalidAmount),
        (CommandType::Cancel, &version, Code::InvalidField),
        (CommandType::Place, &part, Code::InvalidAmount),
        (CommandType::Place, &payment, Code::InvalidAmount),
    ];
    for (kind, data, code) in places {
        let read = |digits: &str| decode_data(kind, data(digits).as_bytes());
        for digits in ["1.00000000000000001", "1e-400", "0.5", "1.5", "-0.5"] {
            let error = read(digits).expect_err(digits);
            assert_eq!(error.code, code, "{kind} {digits}: {error:?}");
            assert!(error.message.starts_with(digits), "{kind} {digits}: {error:?}");
        }
        for digits in ["1.0", "1e0", "10e-1"] {
            assert_eq!(read(digits), read("1"), "{kind} {digits}");
            assert!(read(digits).is_ok(), "{kind} {digits}: {:?}", read(digits));
        }
    }
    let tenant = |digits: &str| decode_tenant_change(format!(r#"{{"in_flight_max":{digits}}}"#).as_bytes());
    assert_eq!(tenant("1e2"), tenant("100"));
    assert!(tenant("1e2").is_ok() && tenant("99.99999999999999999").is_err() && tenant("1e-400").is_err());
    // Extensions of the envelope too, and whatever stands beside a number that is spelt otherwise.
    let command = |extension: &str| {
        let text = PLACE.replacen("\"id\"", &format!("\"ext\": {extension}, \"id\""), 1);
        decode_command(text.replacen("1077,", "1077.0,", 1).as_bytes())
    };
    assert_eq!(command("1.0"), decode_command(PLACE.as_bytes()));
    assert_eq!(command("1.5").unwrap_err().code, Code::WrongType);
    let open = decode_data(CommandType::Place, place("1.0").replace("}]}", "}]").as_bytes()).unwrap_err();
    assert_eq!(open.code, Code::MalformedJson);
    let unknown = place("1.0").replace("\"sku\"", "\"skuu\"");
    let unknown = decode_data(CommandType::Place, unknown.as_bytes()).unwrap_err();
    assert_eq!((unknown.code, unknown.path.as_deref()), (Code::UnknownField, Some("lines[0].skuu")));
}

#[test]
fn components_have_the_sign_of_what_they_are() {
    let order = |kind: &str, amount: i64| {
        let parts = format!(
            "}}],\"components\":[{{\"kind\":\"fee\",\"amount_minor\":5}},{{\"kind\":{kind:?},\"amount_minor\":{amount}}}]}}"
        );
        decode_data(CommandType::Place, place("1000").replace("}]}", &parts).as_bytes())
    };
    let line = |kind: &str, amount: i64| {
        let parts = format!(
            "\"amount_minor\":1000,\"components\":[{{\"kind\":\"goods\",\"amount_minor\":{}}},{{\"kind\":{kind:?},\"amount_minor\":{amount}}}]}}]}}",
            1000 - amount
        );
        decode_data(CommandType::Place, place("1000").replace("\"amount_minor\":1000}]}", &parts).as_bytes())
    };
    for (kind, right) in [("discount", -100), ("goods", 100), ("tax", 100), ("shipping", 100), ("fee", 100)] {
        assert!(order(kind, right).is_ok() && order(kind, 0).is_ok(), "{kind}");
        assert!(line(kind, right).is_ok() && line(kind, 0).is_ok(), "{kind}: {:?}", line(kind, right));
        let error = order(kind, -right).unwrap_err();
        assert_eq!(
            (error.code, error.path.as_deref()),
            (Code::InvalidAmount, Some("components[1].amount_minor"))
        );
        assert!(error.message.contains(kind) && error.message.contains("zero"), "{error:?}");
        let error = line(kind, -right).unwrap_err();
        let path = Some("lines[0].components[1].amount_minor");
        assert_eq!((error.code, error.path.as_deref()), (Code::InvalidAmount, path));
    }
}

proptest! {
    /// The same number in another spelling is the same; with a digit behind its point that is not zero it is none.
    #[test]
    fn every_spelling_is_read_by_its_digits(
        amount in prop_oneof![0_i64..100_000, 0_i64..(1 << 53)],
        zeros in 0_usize..30,
        moved in 0_usize..6,
        fraction in "[0-9]{0,25}[1-9][0-9]{0,3}",
    ) {
        let digits = amount.to_string();
        prop_assert_eq!(amount_of(&format!("{digits}.{}", "0".repeat(zeros + 1))), Ok(amount));
        prop_assert_eq!(amount_of(&format!("{digits}{}e-{moved}", "0".repeat(moved))), Ok(amount));
        let (before, after) = digits.split_at(digits.len().saturating_sub(moved).max(1));
        let point = if after.is_empty() { String::new() } else { format!(".{after}") };
        prop_assert_eq!(amount_of(&format!("{before}{point}E{}", after.len())), Ok(amount));
        let error = amount_of(&format!("{digits}.{fraction}")).unwrap_err();
        prop_assert!(error.code == Code::InvalidAmount || error.code == Code::AmountOverflow);
    }
}
