//! A file for what has no room in memory: bytes by key, until they are taken back.
//!
//! Places are powers of two in size and used again, so the file has at most about twice the size of what was in it at
//! one time. It has no name, and goes with the process.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The smallest place, as a power of two: 512 bytes.
const CLASS_MIN: u32 = 9;
const CLASSES: usize = 64;
/// How many names are tried for the file, in case that others are there from a process that was killed.
const NAMES_MAX: u32 = 1000;

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    bytes: u32,
}

/// Bytes by key.
pub(super) struct Spill {
    file: File,
    places: HashMap<[u8; 16], Place>,
    /// By the power of two.
    free: [Vec<u64>; CLASSES],
    end: u64,
}

impl Spill {
    /// An empty one, its file in `folder`.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let file = nameless(folder)?;
        Ok(Self { file, places: HashMap::new(), free: [const { Vec::new() }; CLASSES], end: 0 })
    }

    /// Keeps `bytes`; what was kept under this key is gone.
    pub(super) fn put(&mut self, key: [u8; 16], bytes: &[u8]) -> io::Result<()> {
        self.forget(&key);
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let class = class(length);
        let offset = self.free[class].pop().unwrap_or(self.end);
        self.file.write_all_at(bytes, offset)?;
        self.end = self.end.max(offset + (1 << class));
        self.places.insert(key, Place { offset, bytes: length });
        Ok(())
    }

    /// Gives back what was kept, and keeps it no longer.
    pub(super) fn take(&mut self, key: &[u8; 16]) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.places.get(key) else { return Ok(None) };
        let mut bytes = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        self.forget(key);
        Ok(Some(bytes))
    }

    fn forget(&mut self, key: &[u8; 16]) {
        if let Some(place) = self.places.remove(key) {
            self.free[class(place.bytes)].push(place.offset);
        }
    }
}

fn class(bytes: u32) -> usize {
    u64::from(bytes).next_power_of_two().trailing_zeros().max(CLASS_MIN) as usize
}

/// A file that only this process can reach.
fn nameless(folder: &Path) -> io::Result<File> {
    for number in 0..NAMES_MAX {
        let path = folder.join(format!("retailflow-events-{}-{number}", std::process::id()));
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let file = made?;
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_once_and_places_are_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path()).unwrap();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut model: HashMap<u8, Vec<u8>> = HashMap::new();
        for _ in 0..5000 {
            let name = rng.u8(0..50);
            if rng.bool() {
                let bytes = vec![rng.u8(..); rng.usize(0..3000)];
                spill.put([name; 16], &bytes).unwrap();
                model.insert(name, bytes);
            } else {
                assert_eq!(spill.take(&[name; 16]).unwrap(), model.remove(&name));
            }
        }
        // At most 50 at a time, each in a place of at most 4,096 bytes, in each of four sizes.
        assert!(spill.end <= 50 * (512 + 1024 + 2048 + 4096), "{}", spill.end);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }
}
