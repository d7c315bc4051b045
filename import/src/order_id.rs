//! An order's id, from what the file calls it.
//!
//! Invariant: two names never become one id without being told. Mapping can be undone and gives each name an id of its own; taking off a
//! prefix may not, which is why the reader of a file looks whether two names met.

use retailflow_engine::ids::OrderId;

use crate::shown;

/// How the names of orders become ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderIds {
    /// Taken off where a name begins with it.
    pub strip: String,
    /// Characters that an id does not have are written as `_` and two hexadecimal digits for each byte; so is `_`.
    pub map: bool,
    /// Put before each id.
    pub prefix: String,
}

impl OrderIds {
    /// The id of the order of this name.
    ///
    /// # Errors
    /// What an id can be, and which flags help.
    pub fn read(&self, name: &str) -> Result<OrderId, String> {
        if name.is_empty() {
            return Err("it is empty".to_owned());
        }
        let rest = name.strip_prefix(self.strip.as_str()).unwrap_or(name);
        let rest = if self.map { mapped(rest) } else { rest.to_owned() };
        if rest.is_empty() {
            return Err(format!("{} is nothing but the prefix", shown(name)));
        }
        OrderId::parse(&format!("{}{rest}", self.prefix)).map_err(|error| {
            let stripped = match name.chars().next() {
                Some(first) if !first.is_ascii_alphanumeric() && !self.map => {
                    format!("--strip-order-prefix '{first}' takes off what it begins with")
                }
                _ => "--strip-order-prefix takes off what all begin with".to_owned(),
            };
            match self.map {
                true => format!("{error}; a mapped id is longer than its name: {stripped}"),
                false => {
                    format!("{error}; {stripped}, --map-order writes other characters as _ and their bytes")
                }
            }
        })
    }
}

/// Each byte that is no letter, digit or `-` as `_` and two hexadecimal digits: `2024/001` is `2024_2F001`.
fn mapped(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => id.push(char::from(byte)),
            _ => id.push_str(&format!("_{byte:02X}")),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(strip: &str, map: bool, prefix: &str) -> OrderIds {
        OrderIds { strip: strip.to_owned(), map, prefix: prefix.to_owned() }
    }

    fn read(ids: &OrderIds, name: &str) -> Result<String, String> {
        ids.read(name).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn names_are_taken_as_they_are_unless_it_is_said() {
        assert_eq!(read(&ids("", false, ""), "A_1-b"), Ok("A_1-b".to_owned()));
        assert_eq!(read(&ids("#", false, "web-"), "#1001"), Ok("web-1001".to_owned()));
        assert_eq!(read(&ids("#", false, ""), "1001"), Ok("1001".to_owned()));
        let refused = read(&ids("", false, ""), "#1001").unwrap_err();
        for part in ["order \"#1001\" is not valid", "--strip-order-prefix '#'", "--map-order"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(read(&ids("", false, ""), "2024/001").unwrap_err().contains("--map-order"));
        assert!(read(&ids("#", true, ""), "#").unwrap_err().contains("nothing but the prefix"));
        assert!(read(&ids("", true, ""), &"/".repeat(22)).unwrap_err().contains("longer than its name"));
    }

    /// What is written can be read back, so no two names meet.
    #[test]
    fn mapping_can_be_undone() {
        let unmapped = |id: &str| {
            let (mut bytes, mut rest) = (Vec::new(), id.as_bytes());
            while let [first, more @ ..] = rest {
                let (byte, after) = match first {
                    b'_' => (
                        u8::from_str_radix(std::str::from_utf8(&more[..2]).unwrap(), 16).unwrap(),
                        &more[2..],
                    ),
                    other => (*other, more),
                };
                bytes.push(byte);
                rest = after;
            }
            String::from_utf8(bytes).unwrap()
        };
        for (name, id) in [
            ("2024/001", "2024_2F001"),
            ("2024_2F001", "2024_5F2F001"),
            ("2024_001", "2024_5F001"),
            ("Nr. 7", "Nr_2E_207"),
            ("Ä-1", "_C3_84-1"),
        ] {
            assert_eq!(mapped(name), id);
            assert_eq!(unmapped(id), name);
        }
    }
}
