//! The stored format written by hand, apart from the codec: what the tests hold against it.

use std::path::PathBuf;

/// Bytes before the payload: format, schema, version, checksum.
pub(crate) const HEADER_BYTES: usize = 9;

/// A path below `engine/golden`.
pub(crate) fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(path)
}

/// Are files to be written instead of compared?
pub(crate) fn blessing() -> bool {
    std::env::var_os("RETAILFLOW_BLESS").is_some()
}

/// Compares `text` with a golden file, or writes it.
#[track_caller]
pub(crate) fn compare(path: &str, text: &str) {
    let file = golden(path);
    if blessing() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(
        stored == text,
        "golden/{path} differs: what is frozen has changed.\nnow:\n{text}\nfile:\n{stored}"
    );
}

/// Bytes as lines of 32 in hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|line| retailflow_engine::keys::hex(line) + "\n").collect()
}

/// Bytes from hexadecimal; white space and what follows a `#` are left out.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap());
    let digits: Vec<u8> =
        lines.flat_map(str::chars).filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// An envelope with a right checksum, whatever is in it.
pub(crate) fn envelope(format: u8, schema: u16, version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![format];
    bytes.extend_from_slice(&schema.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    fix_checksum(&mut bytes);
    bytes
}

/// Makes the checksum right again, so that a change reaches what is behind it.
pub(crate) fn fix_checksum(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_BYTES {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..5]), &bytes[HEADER_BYTES..]);
        bytes[5..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Writes a payload in bincode's variable form: integers below 251 in one byte, else 251, 252, 253 and 2, 4, 8 bytes,
/// little-endian; signed ones zigzag; lists and texts after their length; fixed lists as they are.
#[derive(Default)]
pub(crate) struct Payload(pub Vec<u8>);

impl Payload {
    pub(crate) fn number(mut self, number: u64) -> Self {
        match number {
            0..=250 => self.0.push(number as u8),
            251..=0xffff => {
                self.0.push(251);
                self.0.extend_from_slice(&(number as u16).to_le_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.0.push(252);
                self.0.extend_from_slice(&(number as u32).to_le_bytes());
            }
            _ => return self.wide(number),
        }
        self
    }

    /// A number in its longest form, which no writer of ours uses.
    pub(crate) fn wide(mut self, number: u64) -> Self {
        self.0.push(253);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn signed(self, number: i64) -> Self {
        self.number((number << 1 ^ number >> 63) as u64)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }
}
