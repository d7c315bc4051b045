//! Randomness for secrets.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Length of a secret, in bytes.
pub const SECRET_BYTES: usize = 32;

/// Bytes from the system's source of randomness; waits for it where the machine has just started.
///
/// # Errors
/// What the system says.
pub fn random_secret() -> io::Result<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    fill(&mut secret)?;
    Ok(secret)
}

/// The same, as many as there is room for.
///
/// # Errors
/// What the system says.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
