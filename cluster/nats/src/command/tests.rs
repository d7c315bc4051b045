use retailflow_engine::keys::sha256;
use retailflow_testkit::attributes::{DATA, ORDER, attribute_cases};
use retailflow_testkit::author::{order, place};

use super::*;

fn headers(all: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    all.iter().for_each(|(name, value)| headers.keep(name, value));
    headers
}

fn event(order: &OrderRef) -> CommandEvent {
    let command = place(order, "c-1");
    CommandEvent::new(command.order, command.key, (*command.data).clone())
}

fn data(event: &CommandEvent) -> Vec<u8> {
    let whole: serde_json::Value = serde_json::from_slice(&event.to_json()).unwrap();
    whole["data"].to_string().into_bytes()
}

const STRUCTURED: (&str, &str) = ("Content-Type", "application/cloudevents+json; charset=UTF-8");
const BINARY: [(&str, &str); 5] = [
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-type", "retailflow.order.place.v1"),
    ("ce-source", "/shop/web"),
    ("ce-id", "c%2D1"),
];

fn refused(headers: &Headers, body: &[u8]) -> (Code, Option<String>) {
    let error = read(&order("shop", "17"), headers, body).unwrap_err().into_error();
    let address = &error.address;
    assert_eq!(
        address.order.as_ref(),
        Some(&order("shop", "17").order),
        "the subject says which order: {error}"
    );
    (error.code, error.path)
}

#[test]
fn both_forms_say_the_same() {
    let event = event(&order("shop", "17"));
    for structured in [headers(&[STRUCTURED]), headers(&[])] {
        let found = read(&event.order, &structured, &event.to_json()).unwrap();
        assert_eq!(found, Read { command: event.clone(), whole: true });
    }
    let found = read(&event.order, &headers(&BINARY), &data(&event)).unwrap();
    assert!(!found.whole);
    assert_eq!(found.command.data, event.data);
    assert_eq!(found.command.key.id.as_str(), "c-1");
    // In one piece it is the same command.
    assert_eq!(decode_command(&found.command.to_json()).unwrap(), found.command);
}

#[test]
fn the_subject_wins() {
    let other = event(&order("shop", "18"));
    let mismatched = |path: &str| (Code::MismatchedAddress, Some(path.to_owned()));
    assert_eq!(refused(&headers(&[STRUCTURED]), &other.to_json()), mismatched("subject"));
    for (name, value) in [("ce-subject", "18"), ("ce-tenant", "other")] {
        let mut all = BINARY.to_vec();
        all.push((name, value));
        assert_eq!(refused(&headers(&all), &data(&other)), mismatched(name));
    }
}

#[test]
fn what_is_missing_twice_or_wrong_is_named() {
    let body = data(&event(&order("shop", "17")));
    for left_out in 1..BINARY.len() {
        let mut all = BINARY.to_vec();
        let (name, _) = all.remove(left_out);
        let (code, path) = refused(&headers(&all), &body);
        assert_eq!((code, path.as_deref()), (Code::MissingField, Some(name)));
    }
    let cases = [
        (("ce-id", "c-2"), Code::DuplicateField),
        (("ce-time", "yesterday"), Code::InvalidField),
        (("ce-dataschema", "%zz"), Code::InvalidField),
        (("ce-dataschema", "%é"), Code::InvalidField),
        (("content-type", "text/plain"), Code::DuplicateField),
    ];
    for (more, wanted) in cases {
        let mut all = BINARY.to_vec();
        all.push(more);
        let (code, path) = refused(&headers(&all), &body);
        assert_eq!((code, path.as_deref()), (wanted, Some(more.0)));
    }
    assert_eq!(refused(&headers(&[("content-type", "text/plain")]), &body).0, Code::UnsupportedMediaType);
    // Bare data is no command: it says neither who made it nor which it is.
    let bare = read(&order("shop", "17"), &headers(&[("ce-id", "c-1")]), &body);
    assert!(matches!(bare, Err(NoCommand::Body(_))), "{bare:?}");
}

/// Headers as they stand in a stream: read, or known to be broken.
#[test]
fn headers_are_read_as_they_stand_or_not_at_all() {
    let text = b"NATS/1.0 404 Nothing\r\nContent-Type:\r\n application/json\r\nX: 1\r\nce-id:  a b \r\n\r\n";
    let found = Headers::parse(text);
    assert_eq!(found.single(CONTENT_TYPE).unwrap(), Some("application/json"));
    assert_eq!(found.single("ce-id").unwrap(), Some("a b"));
    let broken: [&[u8]; 5] =
        [b"HTTP/1.0\r\n\r\n", b"NATS/1.0\r\nno colon\r\n\r\n", b"\xff", b"x", b"NATS/1.0\r\na b: c\r\n\r\n"];
    for text in broken {
        assert!(Headers::parse(text).broken, "{text:?}");
        assert_eq!(refused(&Headers::parse(text), b"{}").1.as_deref(), Some("headers"));
    }
    let mut many = b"NATS/1.0\r\n".to_vec();
    (0..5_000).for_each(|n| many.extend_from_slice(format!("ce-id: {n}\r\nh-{n}: {n}\r\n").as_bytes()));
    let many = Headers::parse(&many);
    assert_eq!(many.kept.len(), 2, "no more is kept than shows that there are too many");
    assert!(many.single("ce-id").is_err());
}

/// No bytes make it panic, and the same bytes always say the same.
#[test]
fn anything_ends_in_a_command_or_a_reason() {
    let seed = sha256(b"strange");
    let mut bytes = Vec::new();
    for round in 0..2_000_usize {
        let byte = seed[round % 32].wrapping_mul(round as u8) ^ (round >> 3) as u8;
        bytes.push(if round % 3 == 0 { byte } else { b"{\":%,NATS/1.0\r\n"[round % 15] });
        let (head, body) = bytes.split_at(bytes.len() / 2);
        let once = read(&order("shop", "17"), &Headers::parse(head), body);
        assert_eq!(once, read(&order("shop", "17"), &Headers::parse(head), body));
        bytes.truncate(200 + round % 7);
    }
}

#[test]
fn each_limit_of_an_attribute_holds_at_this_door() {
    for case in attribute_cases() {
        let of_case = case.headers();
        let all: Vec<(&str, &str)> = of_case.iter().map(|(name, value)| (&**name, &**value)).collect();
        let order = order(ORDER.0, ORDER.1);
        let binary = read(&order, &headers(&all), DATA.as_bytes());
        let structured = read(&order, &headers(&[STRUCTURED]), &case.json());
        for (form, read) in [("binary", binary), ("structured", structured)] {
            let code = read.map_err(|refused| refused.into_error().code).err();
            assert_eq!(code, case.refused, "{}, {form}", case.about);
        }
    }
}

#[test]
fn what_is_compressed_is_named_and_a_byte_order_mark_is_passed_over() {
    let event = event(&order("shop", "17"));
    let gzip = headers(&[STRUCTURED, ("Content-Encoding", "gzip")]);
    let wanted = (Code::UnsupportedMediaType, Some("content-encoding".to_owned()));
    assert_eq!(refused(&gzip, b"\x1f\x8b\x08"), wanted);
    let marked = [b"\xef\xbb\xbf", &event.to_json()[..]].concat();
    for headers in [headers(&[]), headers(&[STRUCTURED, ("content-encoding", "identity")])] {
        assert_eq!(read(&event.order, &headers, &marked).unwrap().command, event);
    }
    for charset in ["utf8", "\"UTF-8\""] {
        let kind = format!("application/cloudevents+json; charset={charset}");
        assert!(
            read(&event.order, &headers(&[("content-type", &kind)]), &event.to_json()).is_ok(),
            "{charset}"
        );
    }
}
