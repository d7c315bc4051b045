//! Envelopes in JSON and in headers: the same limits, and the same codes.

use crate::ids::{OrderId, OrderRef, TenantId};
use crate::samples::{DATA, ORDER, attribute_cases};
use crate::{Code, CommandEvent, CommandType, DecodeError, decode_command, decode_data};

use super::{Attributes, Door, Form, MessageHeaders};

struct Headers<'h>(&'h [(String, String)]);

impl MessageHeaders for Headers<'_> {
    fn each<'a>(&'a self, take: &mut dyn FnMut(&'a str, &'a [u8])) {
        self.0.iter().for_each(|(name, value)| take(name, value.as_bytes()));
    }
}

const DOOR: Door<'static> = Door { address: "path of the request", source: Some("/http") };

fn order() -> OrderRef {
    OrderRef { tenant: TenantId::parse(ORDER.0).unwrap(), order: OrderId::parse(ORDER.1).unwrap() }
}

fn read(headers: &[(String, String)], form: Form, body: &[u8]) -> Result<CommandEvent, DecodeError> {
    Attributes::of(&Headers(headers)).read(&order(), form, body, &DOOR)
}

/// The binary form used to know no limits of extensions, and none of the content type of its data.
#[test]
fn each_limit_of_an_attribute_is_the_same_in_both_forms() {
    for case in attribute_cases() {
        let structured = read(&[], Form::Structured, &case.json());
        let binary = read(&case.headers(), Form::Data, DATA.as_bytes());
        for (form, read) in [("structured", &structured), ("binary", &binary)] {
            let code = read.as_ref().err().map(|error| error.code);
            assert_eq!(code, case.refused, "{}, {form}: {read:?}", case.about);
        }
        if case.refused.is_none() {
            assert_eq!(structured, binary, "{}", case.about);
        }
    }
}

#[test]
fn a_header_counts_in_any_case_and_once() {
    let headers = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut all = vec![("CE-Type", "retailflow.order.place.v1"), ("Idempotency-Key", "\"c-1\"")];
    let bare = read(&headers(&all), Form::Data, DATA.as_bytes()).unwrap();
    assert_eq!((bare.key.source.as_str(), bare.key.id.as_str()), ("/http", "c-1"));
    all.push(("ce-type", "retailflow.order.place.v1"));
    let twice = read(&headers(&all), Form::Data, DATA.as_bytes()).unwrap_err();
    assert_eq!((twice.code, twice.path.as_deref()), (Code::DuplicateField, Some("ce-type")));
    let twice = headers(&[all[0], all[1], ("ce-ext", "1"), ("Ce-Ext", "2")]);
    assert_eq!(read(&twice, Form::Data, DATA.as_bytes()).unwrap_err().code, Code::DuplicateField);
}

#[test]
fn content_is_json_in_utf_8_and_not_compressed() {
    let form = |name: &str, value: &str| {
        let headers = [(name.to_owned(), value.to_owned())];
        let headers = Headers(&headers);
        Attributes::of(&headers).form().map_err(|error| (error.code, error.path.unwrap()))
    };
    let (structured, data) = (Ok(Some(Form::Structured)), Ok(Some(Form::Data)));
    for (value, wanted) in [
        ("application/cloudevents+json", structured.clone()),
        ("Application/CloudEvents+JSON; charset=\"UTF-8\"", structured),
        ("application/json", data.clone()),
        ("application/json;charset=utf8", data.clone()),
        ("application/json; Charset = \"utf8\" ; x=y", data),
    ] {
        assert_eq!(form("content-type", value), wanted, "{value}");
    }
    let no = |path: &str| Err((Code::UnsupportedMediaType, path.to_owned()));
    for value in ["application/json; charset=latin1", "text/plain", "application/cloudevents-batch+json", ""]
    {
        assert_eq!(form("content-type", value), no("content-type"), "{value}");
    }
    for value in ["gzip", "identity, br", "deflate", "zstd", "\u{e9}"] {
        assert_eq!(form("content-encoding", value), no("content-encoding"), "{value}");
    }
    assert_eq!(form("Content-Encoding", "Identity"), Ok(None));
}

/// Some editors and systems write a byte order mark before UTF-8. It used to be "not JSON: expected value at line 1 column 1".
#[test]
fn a_byte_order_mark_is_passed_over() {
    let marked = |text: &[u8]| [b"\xef\xbb\xbf", text].concat();
    let case = &attribute_cases()[0];
    assert_eq!(decode_command(&marked(&case.json())), decode_command(&case.json()));
    let data = decode_data(CommandType::Place, DATA.as_bytes());
    assert_eq!(decode_data(CommandType::Place, &marked(DATA.as_bytes())), data);
    assert!(data.is_ok());
    // One, and at the beginning.
    assert!(decode_command(&marked(&marked(&case.json()))).is_err());
}
