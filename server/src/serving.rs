//! Where the server of a data directory is asked, for whoever finds the directory in use.
//!
//! A hint and no more: what it says counts only while the process that wrote it has the log.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

const FILE: &str = "serving";
/// A process and two addresses.
const FILE_MAX_BYTES: u64 = 512;

/// Says where a server of this process is asked, until it is dropped.
pub struct Serving(PathBuf);

impl Serving {
    /// Writes it down. A directory that takes no file is no reason not to serve.
    pub fn at(data: &Path, public: SocketAddr, admin: SocketAddr) -> Self {
        let path = data.join(FILE);
        if let Err(error) = write(&path, public, admin) {
            tracing::warn!(%error, path = %path.display(), "where this server is asked cannot be written down");
        }
        Self(path)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // What is left behind names a process that has gone.
        drop(fs::remove_file(&self.0));
    }
}

fn write(path: &Path, public: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    let text = format!("{}\n{}\n{}\n", std::process::id(), reached_at(public), reached_at(admin));
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// An address that listens on all of the machine's own is reached from here at its own one.
fn reached_at(address: SocketAddr) -> SocketAddr {
    let own = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(own, address.port())
}

/// Where process `holder` says that it serves this data directory: the tenants' address and the operators'.
fn read(data: &Path, holder: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut text = String::new();
    fs::File::open(data.join(FILE)).ok()?.take(FILE_MAX_BYTES).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    lines.next().filter(|process| *process == holder.trim())?;
    Some((lines.next()?.parse().ok()?, lines.next()?.parse().ok()?))
}

/// The process that had the log last, or has it, as its lock file says.
fn written_holder(data: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(data.join("log").join("lock"));
    let read = file.and_then(|file| file.take(FILE_MAX_BYTES).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// Why a data directory that process `holder` has open is not opened, and who can be asked instead.
pub fn in_use(data: &Path, holder: &str) -> Failure {
    let (dir, written) = (data.display(), written_holder(data));
    // Who only looked whether it is locked does not know by whom.
    let holder = match holder.trim() {
        holder if holder.bytes().all(|byte| byte.is_ascii_digit()) => holder,
        _ => written.trim(),
    };
    match read(data, holder) {
        Some((public, admin)) => Failure::refused(format!(
            "{dir} is in use by process {holder}, a server: in the place of --data give --admin http://{admin} (for `order show`, \
             `order history` and `events` --server http://{public}), or stop it first; a copy of it is made by `retailflow backup create`"
        )),
        None => Failure::refused(format!(
            "{dir} is in use by process {holder}: stop it first, or wait until it has ended"
        )),
    }
}

/// Why `--online` is not done on a data directory.
pub fn online_needs_a_server(data: &Path) -> Failure {
    let found = read(data, &written_holder(data));
    let address = found.map_or_else(|| "URL".to_owned(), |(_, admin)| format!("http://{admin}"));
    Failure::usage(format!(
        "--online looks at a server that runs, at its address for operators: in the place of --data give --admin {address}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_address_is_told_as_long_as_it_is_the_one_that_has_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let own = std::process::id().to_string();
        assert!(in_use(data, &own).to_string().ends_with("or wait until it has ended"));
        let serving = Serving::at(data, "127.0.0.1:8080".parse().unwrap(), "[::]:8081".parse().unwrap());
        let told = in_use(data, &format!("{own}\n")).to_string();
        for part in [&own[..], "--admin http://[::1]:8081", "--server http://127.0.0.1:8080"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        // A server was killed, and a run has the log now.
        assert!(!in_use(data, "1").to_string().contains("--admin"));
        drop(serving);
        assert!(!in_use(data, &own).to_string().contains("--admin"));
        fs::write(data.join(FILE), "nonsense").unwrap();
        assert!(!in_use(data, &own).to_string().contains("--admin"));
    }
}
