use crate::PLACE;
use retailflow_engine::wire::{Code, CommandType, DecodeError, decode_command, decode_data};

fn error(text: &str) -> DecodeError {
    decode_command(text.as_bytes()).expect_err(text)
}

/// The contract's example with one part of its text exchanged.
fn exchanged(from: &str, to: &str) -> DecodeError {
    assert!(PLACE.contains(from), "{from}");
    error(&PLACE.replacen(from, to, 1))
}

#[track_caller]
fn expect(error: &DecodeError, code: Code, path: &str) {
    assert_eq!((error.code, error.path.as_deref().unwrap_or("")), (code, path), "{error:?}");
}

const LINE: &str = r#""quantity": 1"#;

#[test]
fn what_is_not_json() {
    for (text, shown) in [("", "empty"), ("  ", "JSON"), ("{", "line 1 column 1"), ("nonsense", "JSON")] {
        let e = error(text);
        expect(&e, Code::MalformedJson, "");
        assert!(e.message.contains(shown), "{e:?}");
    }
    expect(&exchanged("\"data\": {", "\"data\": {,"), Code::MalformedJson, "");
    expect(&error(&format!("{PLACE}x")), Code::MalformedJson, "");
    let deep = PLACE.replacen("\"standard\"", &"[".repeat(10_000), 1);
    expect(&error(&deep), Code::MalformedJson, "");
    // A byte order mark is passed over, once, and what follows is told as without it.
    expect(&decode_command(b"\xef\xbb\xbf{").unwrap_err(), Code::MalformedJson, "");
    expect(&decode_command(b"\xef\xbb\xbf\xef\xbb\xbf{}").unwrap_err(), Code::MalformedJson, "");
}

#[test]
fn what_is_not_utf8() {
    let mut bytes = PLACE.as_bytes().to_vec();
    bytes[10] = 0xff;
    let e = decode_command(&bytes).unwrap_err();
    expect(&e, Code::InvalidUtf8, "");
    assert!(e.message.contains("byte 10"), "{e:?}");
}

#[test]
fn what_is_too_large() {
    expect(&error(&" ".repeat(1024 * 1024 + 1)), Code::TooLarge, "");
    let lines = vec![r#"{"line_id":"1","sku":"s","quantity":1,"amount_minor":1}"#; 1001].join(",");
    let start = PLACE.find("\"lines\": [").unwrap() + 10;
    let end = start + PLACE[start..].find("\n    ]").unwrap();
    let e = error(&format!("{}{lines}{}", &PLACE[..start], &PLACE[end..]));
    assert_eq!(e.code, Code::TooMany, "{e:?}");
    assert!(e.path.as_ref().unwrap().starts_with("data.lines"), "{e:?}");
}

#[test]
fn what_is_no_cloudevent() {
    for text in ["[]", "7", "\"x\"", "null", "{}"] {
        assert_eq!(error(text).code, Code::NotACloudevent, "{text}: {:?}", error(text));
    }
    expect(&exchanged("\"1.0\"", "\"0.3\""), Code::NotACloudevent, "specversion");
    expect(&exchanged("\"1.0\"", "1.0"), Code::WrongType, "specversion");
    for name in ["id", "source", "type", "tenant", "subject"] {
        expect(&exchanged(&format!("\"{name}\": "), "\"x\": "), Code::MissingField, name);
    }
    expect(&exchanged("\"data\": {", "\"data\": null, \"e\": \"\"}"), Code::MalformedJson, "");
    let end = PLACE.find(",\n  \"data\"").unwrap();
    expect(&error(&format!("{}}}", &PLACE[..end])), Code::MissingField, "data");
    expect(&exchanged("retailflow.order.place.v1", "retailflow.order.place.v9"), Code::UnknownType, "type");
    expect(&exchanged("\"id\"", "\"Id\": 1, \"id\""), Code::UnknownField, "Id");
    expect(&exchanged("\"id\"", "\"data_base64\": \"\", \"id\""), Code::UnknownField, "data_base64");
    expect(&exchanged("\"id\"", "\"ext\": {}, \"id\""), Code::WrongType, "ext");
    expect(&exchanged("\"id\"", "\"ext\": 1, \"ext\": 1, \"id\""), Code::DuplicateField, "");
    expect(&exchanged("\"id\"", "\"id\": \"twice\", \"id\""), Code::DuplicateField, "id");
    expect(
        &exchanged("\"id\"", "\"datacontenttype\": \"text/xml\", \"id\""),
        Code::UnsupportedMediaType,
        "datacontenttype",
    );
    expect(&exchanged("1997-01-12T00:00:00.000Z", "yesterday"), Code::InvalidField, "time");
}

#[test]
fn ids_outside_the_grammar() {
    for (from, to, path) in [
        ("\"subject\": \"17\"", "\"subject\": \"a.b\"", "subject"),
        ("\"subject\": \"17\"", "\"subject\": \"\"", "subject"),
        ("\"tenant\": \"cdnow\"", "\"tenant\": \"CDNOW\"", "tenant"),
        ("\"id\": \"c-1\"", "\"id\": \"\\t\"", "id"),
        ("\"source\": \"/shop/web\"", "\"source\": \"a b\"", "source"),
    ] {
        expect(&exchanged(from, to), Code::InvalidId, path);
    }
    expect(&exchanged("\"subject\": \"17\"", "\"subject\": 17"), Code::WrongType, "subject");
    let long = format!("\"subject\": \"{}\"", "x".repeat(100_000));
    assert!(exchanged("\"subject\": \"17\"", &long).message.len() < 300);
}

#[test]
fn fields_of_data() {
    expect(&exchanged("\"customer\"", "\"custommer\""), Code::UnknownField, "data.custommer");
    expect(&exchanged("\"sku\"", "\"SKU\""), Code::UnknownField, "data.lines[0].SKU");
    expect(&exchanged("\"sku\": \"cd\",", ""), Code::MissingField, "data.lines[0].sku");
    expect(&exchanged("\"sku\": \"cd\"", "\"sku\": \"\""), Code::InvalidField, "data.lines[0].sku");
    expect(&exchanged("\"sku\": \"cd\"", "\"sku\": \"c\\u001bd\""), Code::InvalidField, "data.lines[0].sku");
    expect(&exchanged("\"sku\": \"cd\"", "\"sku\": 7"), Code::WrongType, "data.lines[0].sku");
    expect(
        &exchanged("\"sku\": \"cd\"", "\"sku\": \"cd\", \"sku\": \"cd\""),
        Code::DuplicateField,
        "data.lines[0].sku",
    );
    let long = format!("\"sku\": \"{}\"", "é".repeat(129));
    expect(&exchanged("\"sku\": \"cd\"", &long), Code::TooLong, "data.lines[0].sku");
    expect(&exchanged("\"goods\"", "\"tips\""), Code::InvalidField, "data.lines[0].components[0].kind");
    expect(&exchanged("\"web\"", "7"), Code::WrongType, "data.attributes.channel");
    expect(&exchanged("\"channel\"", "\"\""), Code::InvalidField, "data.attributes");
    assert_eq!(exchanged("\"channel\"", "\"channel\": \"a\", \"channel\"").code, Code::DuplicateField);
    let many: String = (0..40).map(|i| format!("\"k{i}\": \"v\", ")).collect();
    assert_eq!(exchanged("\"channel\"", &format!("{many}\"channel\"")).code, Code::TooMany);
    let value = format!("\"{}\"", "v".repeat(513));
    expect(&exchanged("\"web\"", &value), Code::TooLong, "data.attributes.channel");
    let key = format!("\"{}\"", "k".repeat(65));
    expect(&exchanged("\"channel\"", &key), Code::TooLong, "data.attributes");
    expect(
        &exchanged("\"expected_version\": 0", "\"expected_version\": -1"),
        Code::InvalidField,
        "data.expected_version",
    );
    expect(&exchanged("\"Zm9v\"", "\"Zm9\""), Code::InvalidField, "data.sealed.ciphertext_base64");
    expect(&exchanged("1997-01-11T09:30:00.000Z", "1997-01-11"), Code::InvalidField, "data.placed_at");
}

#[test]
fn an_array_is_no_object() {
    let data = decode_data(CommandType::Cancel, br#"["because", null]"#).unwrap_err();
    expect(&data, Code::WrongType, "");
    let line = decode_data(CommandType::Return, br#"{"lines":[["1",1]],"reason":"r"}"#).unwrap_err();
    expect(&line, Code::WrongType, "lines[0]");
    let delivery = r#"{"customer":"c","currency":"USD","lines":[],"delivery":["m","a"]}"#;
    expect(&decode_data(CommandType::Place, delivery.as_bytes()).unwrap_err(), Code::WrongType, "delivery");
}

#[test]
fn quantities_and_amounts() {
    for (quantity, code) in [
        ("0", Code::InvalidQuantity),
        ("-1", Code::InvalidQuantity),
        ("1.5", Code::InvalidQuantity),
        ("1000001", Code::InvalidQuantity),
        ("1e300", Code::InvalidQuantity),
        ("\"1\"", Code::WrongType),
    ] {
        expect(&exchanged(LINE, &format!("\"quantity\": {quantity}")), code, "data.lines[0].quantity");
    }
    for (amount, code) in [
        ("-1", Code::InvalidAmount),
        ("1.5", Code::InvalidAmount),
        ("9007199254740992", Code::AmountOverflow),
        ("99999999999999999999999999", Code::AmountOverflow),
        ("1e400", Code::AmountOverflow),
        ("\"11.77\"", Code::WrongType),
        ("null", Code::WrongType),
    ] {
        let e = exchanged("\"amount_minor\": 1077", &format!("\"amount_minor\": {amount}"));
        expect(&e, code, "data.lines[0].amount_minor");
    }
    let two = r#"{"customer":"c","currency":"USD","lines":[
        {"line_id":"1","sku":"s","quantity":1,"amount_minor":9007199254740991},
        {"line_id":"2","sku":"s","quantity":1,"amount_minor":1}]}"#;
    expect(&decode_data(CommandType::Place, two.as_bytes()).unwrap_err(), Code::AmountOverflow, "lines");
}

#[test]
fn parts_that_do_not_add_up() {
    expect(
        &exchanged("\"amount_minor\": 77", "\"amount_minor\": 78"),
        Code::ComponentsDoNotAddUp,
        "data.lines[0].components",
    );
    expect(
        &exchanged("\"amount_minor\": 1177", "\"amount_minor\": 1178"),
        Code::ComponentsDoNotAddUp,
        "data.payments",
    );
    expect(
        &exchanged("\"amount_minor\": 100\n", "\"amount_minor\": -5000\n"),
        Code::InvalidAmount,
        "data.components[0].amount_minor",
    );
    let more_off = "\"amount_minor\": 0 }, { \"kind\": \"discount\", \"amount_minor\": -5000\n";
    expect(&exchanged("\"amount_minor\": 100\n", more_off), Code::InvalidAmount, "data.components");
    let payment = r#"{"payment_id":"p0","token_ref":"t","amount_minor":1},{"payment_id": "p1""#;
    expect(
        &exchanged("{\n        \"payment_id\": \"p1\"", payment),
        Code::ComponentsDoNotAddUp,
        "data.payments",
    );
}

#[test]
fn lists_and_currencies() {
    let place = |data: &str| decode_data(CommandType::Place, data.as_bytes()).unwrap_err();
    expect(&place(r#"{"customer":"c","currency":"USD","lines":[]}"#), Code::InvalidField, "lines");
    let line = r#"{"line_id":"1","sku":"s","quantity":1,"amount_minor":1}"#;
    let twice = format!(r#"{{"customer":"c","currency":"USD","lines":[{line},{line}]}}"#);
    expect(&place(&twice), Code::DuplicateId, "lines[1].line_id");
    for code in ["XAU", "XXX", "usd", "AAA", ""] {
        let e = exchanged("\"USD\"", &format!("\"{code}\""));
        expect(&e, Code::UnknownCurrency, "data.currency");
    }
}

#[test]
fn other_commands() {
    for (kind, data, code, path) in [
        (CommandType::Cancel, r#"{}"#, Code::MissingField, "reason"),
        (CommandType::Cancel, r#"{"reason":""}"#, Code::InvalidField, "reason"),
        (CommandType::Return, r#"{"lines":[],"reason":"r"}"#, Code::InvalidField, "lines"),
        (
            CommandType::Return,
            r#"{"lines":[{"line_id":"1","quantity":1,"amount_minor":-1}],"reason":"r"}"#,
            Code::InvalidAmount,
            "lines[0].amount_minor",
        ),
        (
            CommandType::Report,
            r#"{"step":"fly","reference":"r","outcome":"done"}"#,
            Code::InvalidField,
            "step",
        ),
        (
            CommandType::ResolveStep,
            r#"{"step":"book","as":"maybe","evidence":"e"}"#,
            Code::InvalidField,
            "as",
        ),
        (CommandType::Archive, r#"{"why":"r"}"#, Code::UnknownField, "why"),
    ] {
        expect(&decode_data(kind, data.as_bytes()).unwrap_err(), code, path);
    }
}

#[test]
fn the_address_is_saved_where_it_can_be() {
    for broken in [
        PLACE.replacen("\"USD\"", "\"XAU\"", 1),
        PLACE.replacen("retailflow.order.place.v1", "nonsense", 1),
        PLACE.replacen("\"amount_minor\": 1177", "\"amount_minor\": ]", 1),
    ] {
        let e = error(&broken);
        let outcome = e.to_outcome();
        assert_eq!(outcome.command_id.unwrap().as_str(), "c-1", "{e:?}");
        assert_eq!(outcome.tenant.unwrap().as_str(), "cdnow");
        assert_eq!((outcome.order.unwrap().as_str(), outcome.source.unwrap().as_str()), ("17", "/shop/web"));
        assert_eq!((outcome.code, outcome.path), (e.code, e.path));
    }
    let e = exchanged("\"subject\": \"17\"", "\"subject\": \"a b\"");
    assert_eq!((e.address.order.is_none(), e.address.id.is_some()), (true, true));
}

#[test]
fn a_caller_s_text_is_not_repeated_at_length() {
    let long = "x".repeat(10_000);
    for (from, to) in [
        ("\"customer\"", format!("\"{long}\"")),
        ("\"channel\"", format!("\"{long}\"")),
        ("\"USD\"", format!("\"{long}\"")),
        (LINE, format!("\"quantity\": \"{long}\"")),
        ("\"goods\"", format!("\"{long}\"")),
        ("retailflow.order.place.v1", long.clone()),
        ("\"1.0\"", format!("\"{long}\"")),
        ("\"id\"", format!("\"{long}\": 1, \"id\"")),
    ] {
        let e = exchanged(from, &to);
        assert!(e.message.matches('x').count() <= 90, "{e:?}");
        assert!(e.path.is_none_or(|path| path.len() < 250));
    }
}

#[test]
fn trace_context_that_is_none_is_dropped() {
    let command = |trace: &str| {
        let to = format!("\"traceparent\": \"{trace}\", \"id\"");
        let text = PLACE.replacen("\"traceparent\"", "\"other\"", 1).replacen("\"id\"", &to, 1);
        decode_command(text.as_bytes()).unwrap().trace
    };
    let good = command("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(good.trace_id().unwrap()[..2], [0x0a, 0xf7]);
    for bad in [
        "",
        "x",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(command(bad).traceparent, None, "{bad}");
    }
}
