//! Reading around sectors that the disk cannot read.
//!
//! Such a sector reads as bytes that no writer leaves: so it is damage where it stands, and neither the end of the log nor the
//! end of reading it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::sector::SECTOR_BYTES;
use super::segment::Segment;
use retailflow_os::files::DiskFile;

/// Stands in a sector that cannot be read. Neither zero nor a seal: not "not written", and not whole.
const FILL: u8 = 0xff;

/// A file of which all can be read, and a list of what could not.
pub(crate) struct ReadAround {
    file: Arc<dyn DiskFile>,
    unreadable: Arc<Mutex<Vec<u64>>>,
}

/// Where a segment could not be read.
#[derive(Clone, Default)]
pub(crate) struct Unreadable(Arc<Mutex<Vec<u64>>>);

impl Unreadable {
    /// Takes the list: the file offsets of sectors, ascending, each once.
    pub(crate) fn take(&self) -> Vec<u64> {
        let mut sectors = std::mem::take(&mut *self.0.lock());
        sectors.sort_unstable();
        sectors.dedup();
        sectors
    }
}

/// Has a segment read around what the disk can't read.
pub(crate) fn read_around(segment: &mut Segment) -> Unreadable {
    let unreadable = Unreadable::default();
    let file = ReadAround { file: segment.file.clone(), unreadable: unreadable.0.clone() };
    segment.file = Arc::new(file);
    unreadable
}

impl DiskFile for ReadAround {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read_at(offset, buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(_) => self.read_by_sectors(offset, buffer),
            read => read,
        }
    }

    fn read_past_cache_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.file.read_past_cache_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

impl ReadAround {
    fn read_by_sectors(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.file.size_bytes()?.min(offset + buffer.len() as u64);
        let mut at = offset;
        while at < end {
            let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
            let place = (at - offset) as usize..(next.min(end) - offset) as usize;
            let part = &mut buffer[place];
            let length = part.len();
            match (self.file.as_ref() as &dyn DiskFile).read_full_at(at, part) {
                Ok(read) if read == length => {}
                Ok(read) => return Ok((at - offset) as usize + read),
                Err(_) => {
                    part.fill(FILL);
                    self.unreadable.lock().push(at / SECTOR_BYTES * SECTOR_BYTES);
                }
            }
            at = next.min(end);
        }
        Ok((at.max(offset) - offset) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up, and fails on any read that touches the sectors from 1024 to 2047.
    struct Bad;

    impl DiskFile for Bad {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let end = (offset + buffer.len() as u64).min(5000);
            if offset < 2048 && end > 1024 {
                return Err(io::Error::other("the disk cannot read this"));
            }
            (offset..end).zip(&mut *buffer).for_each(|(at, byte)| *byte = at as u8);
            Ok(end.saturating_sub(offset) as usize)
        }

        fn read_past_cache_at(&self, _: u64, _: &mut [u8]) -> io::Result<Option<usize>> {
            Ok(None)
        }

        fn write_at(&self, _: u64, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn size_bytes(&self) -> io::Result<u64> {
            Ok(5000)
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_but_the_bad_sectors_is_read_and_they_are_named() {
        let unreadable = Unreadable::default();
        let file: Arc<dyn DiskFile> =
            Arc::new(ReadAround { file: Arc::new(Bad), unreadable: unreadable.0.clone() });
        let mut bytes = vec![0; 6000];
        assert_eq!(file.read_full_at(100, &mut bytes).unwrap(), 4900);
        for (at, byte) in (100..5000).zip(&bytes) {
            let expected = if (1024..2048).contains(&at) { FILL } else { at as u8 };
            assert_eq!(*byte, expected, "at {at}");
        }
        assert_eq!(unreadable.take(), [1024, 1536]);
        assert_eq!(file.read_at(4000, &mut bytes).unwrap(), 1000);
        assert!(unreadable.take().is_empty());
    }
}
