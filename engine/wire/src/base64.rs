//! Base64 as RFC 4648 section 4 has it, one spelling only: equal bytes are then equal text, and hash the same.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// The text of these bytes, with padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The bytes, or `None` where the text is not canonical base64 with padding.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// The text of these bytes as RFC 4648 section 5 has it (for URLs and file names), without padding.
#[must_use]
pub fn encode_url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes, or `None` where the text is not canonical base64 for URLs without padding.
#[must_use]
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_url, encode, encode_url};

    #[test]
    fn one_spelling_only() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")]
        {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        assert_eq!(decode("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in ["Zg", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm-_", "Zm9v\n", "Zé=="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    /// Whether RFC 4648 has this text, with all of its padding and no bit that says nothing.
    fn is_canonical(text: &[u8], digits: &[u8; 64], padded: bool) -> bool {
        let padding = if padded { text.iter().rev().take(2).take_while(|b| **b == b'=').count() } else { 0 };
        let (said, rest) = (&text[..text.len() - padding], text.len() % 4);
        let values: Option<Vec<usize>> =
            said.iter().map(|byte| digits.iter().position(|digit| digit == byte)).collect();
        let Some(values) = values else { return false };
        if padded && rest != 0 || said.len() % 4 == 1 {
            return false;
        }
        match (said.len() % 4, values.last()) {
            (2, Some(last)) => last % 16 == 0,
            (3, Some(last)) => last % 4 == 0,
            _ => true,
        }
    }

    /// All texts of up to five of these bytes, and of nine with the first ones as they are.
    #[test]
    fn what_is_read_is_what_is_written_and_nothing_else() {
        const SOME: &[u8; 14] = b"AQgwZaz09+/-_=";
        let standard: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let url: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let check = |text: &str| {
            let read = decode(text);
            assert_eq!(read.is_some(), is_canonical(text.as_bytes(), standard, true), "{text}");
            assert!(read.is_none_or(|bytes| encode(&bytes) == text), "{text}");
            let read = decode_url(text);
            assert_eq!(read.is_some(), is_canonical(text.as_bytes(), url, false), "{text}");
            assert!(read.is_none_or(|bytes| encode_url(&bytes) == text), "{text}");
        };
        let mut texts = vec![String::new()];
        for _ in 0..=5 {
            texts.iter().for_each(|text| check(text));
            if texts[0].len() < 5 {
                let longer = texts.iter().flat_map(|text| SOME.map(|b| format!("{text}{}", char::from(b))));
                texts = longer.collect();
            }
        }
        texts.iter().step_by(3).for_each(|text| check(&format!("Zm9v{text}")));
        ["é", "Zé==", "Zm9v\n", "Zm9v ", "Zm 9v", "\u{0}"].iter().for_each(|text| check(text));
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(73) ^ length).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes.clone()));
            assert_eq!(decode_url(&encode_url(&bytes)), Some(bytes));
        }
    }
}
