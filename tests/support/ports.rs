//! Ports for servers that have to be told theirs, as those of a cluster are.
//!
//! A port that the system gives out (port 0) and that is let go again is soon somebody's: the next test's, or an
//! outgoing connection's, also while a server that was killed is to come back on it. So these lie below what
//! systems give out, and a lock keeps other processes of tests away from them as long as this one lives.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;

/// Linux gives out 32768 and above unless it is set otherwise; other systems begin higher.
const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

/// Those that this process has, and the number of the last one tried.
static HELD: Mutex<(Vec<File>, u16)> = Mutex::new((Vec::new(), 0));

/// So many ports that nobody has, and that no other test is given.
pub(crate) fn free(count: usize) -> Vec<u16> {
    let folder = std::env::temp_dir().join("retailflow-test-ports");
    std::fs::create_dir_all(&folder).unwrap();
    let mut held = HELD.lock().unwrap();
    if held.0.is_empty() {
        // Processes that start together begin at different places.
        held.1 = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap();
    }
    let mut ports = Vec::new();
    for _ in 0..COUNT {
        if ports.len() == count {
            return ports;
        }
        held.1 = (held.1 + 1) % COUNT;
        let port = FIRST + held.1;
        let lock = File::options().create(true).append(true).open(folder.join(port.to_string()));
        let Ok(lock) = lock else { continue };
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            held.0.push(lock);
            ports.push(port);
        }
    }
    panic!("no {count} ports are free above {FIRST}");
}
