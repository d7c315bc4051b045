//! Backups of a server that runs, and reading what must not be written.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::{Ended, retailflow};
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::{World, places};

const BOUND: Duration = Duration::from_secs(60);
/// Several segments for few orders.
const SMALL: [&str; 4] = ["--set", "log.segment_bytes=1048576", "--set", "log.group_max_bytes=1048576"];

/// A world whose log has several segments.
fn world(orders: usize) -> World {
    let world = World::new();
    let file = world.file("commands", places(0, orders));
    world.on_data(&[&["run", "--quiet", "--commands", &file][..], &SMALL].concat()).run().expect(0);
    world
}

fn serve(world: &World, data: &str) -> Server {
    Server::of(world.on(data, &[&["serve"][..], &SMALL].concat()))
}

fn back_up(server: &Server, to: &Path) -> Ended {
    retailflow(&["backup", "create", "-o", "json", "--patience", "5", "--admin", &server.admin_url(), "--to"])
        .arg(to)
        .run()
}

fn checked(backup: &Path) -> Ended {
    retailflow(&["backup", "verify", "-o", "json"]).arg(backup).run()
}

fn place(server: &Server, order: &str) {
    let words =
        ["order", "place", "shop", order, "--customer", "7", "--currency", "USD", "--line", "cd:1:1177"];
    retailflow(&words).arg("--server").arg(server.url()).run().expect(0);
}

/// Ends the load, also when a check fails.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_server_under_load_is_backed_up_whole_and_then_what_is_new() {
    let world = world(2_000);
    let backup = world.path("backup");
    let server = serve(&world, "data");
    let (answered, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let answered_before = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if enough.load(Ordering::Acquire) {
                    break;
                }
                place(&server, &format!("live-{n}"));
                answered.store(n + 1, Ordering::Release);
            }
        });
        let _enough = Enough(&enough);
        let more = |than: usize| {
            wait_for("another answer", BOUND, || (answered.load(Ordering::Acquire) > than).then_some(()))
        };
        more(0);
        let first: Value = serde_json::from_str(&back_up(&server, &backup).expect(0).stdout).unwrap();
        assert!(first["segments"].as_u64().unwrap() > 2, "{first}");
        assert_eq!(first["segments_read"], first["segments"]);
        checked(&backup).expect(0);
        more(answered.load(Ordering::Acquire));
        let before = answered.load(Ordering::Acquire);
        let second: Value = serde_json::from_str(&back_up(&server, &backup).expect(0).stdout).unwrap();
        assert!(second["segments_read"].as_u64().unwrap() <= 2, "{second}");
        assert!(second["position"].as_u64() > first["position"].as_u64());
        let checked: Value = serde_json::from_str(&checked(&backup).expect(0).stdout).unwrap();
        assert_eq!(checked["sound"], true, "{checked}");
        before
    });
    server.kill();
    let from = backup.to_str().unwrap();
    world.on("other", &["restore", "--from", from]).run().expect(0);
    // The books were read after the log, and may know of orders that it does not: that is told, and no problem of the log.
    let verified = world.on("other", &["verify", "-o", "json"]).run();
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified["problems"], Value::Array(Vec::new()), "{verified}");
    for n in 0..answered_before {
        world.on("other", &["order", "show", "shop", &format!("live-{n}")]).run().expect(0);
    }
    // What was restored goes on, and its backups with it.
    let restored = serve(&world, "other");
    place(&restored, "after");
    back_up(&restored, &backup).expect(0);
    checked(&backup).expect(0);
}

#[test]
fn a_backup_is_not_mixed_with_another_log_or_an_older_one() {
    let world = world(50);
    let backup = world.path("backup");
    let from = backup.to_str().unwrap();
    let server = serve(&world, "data");
    back_up(&server, &backup).expect(0);
    world.on("older", &["restore", "--from", from]).run().expect(0);
    for order in ["newer", "newer-2", "newer-3", "newer-4"] {
        place(&server, order);
    }
    back_up(&server, &backup).expect(0);
    let export = world.path("hot.jsonl");
    back_up(&server, &export).expect(0);
    drop(server);
    world.on("exported", &["restore", "--from", export.to_str().unwrap()]).run().expect(0);
    world.on("exported", &["order", "show", "shop", "newer"]).run().expect(0);
    let kept = files(&backup);

    let older = serve(&world, "older");
    back_up(&older, &backup).expect(1).says(&["erver has lost data"]);
    // It goes on further, and otherwise.
    (0..8).for_each(|n| place(&older, &format!("elsewhere-{n}")));
    back_up(&older, &backup).expect(1).says(&["has no frame", "went on by itself"]);
    drop(older);
    let another = World::new();
    let server = serve(&another, "data");
    back_up(&server, &backup).expect(4).says(&["another log"]);
    world.file("data/mine", "x");
    back_up(&server, &world.path("data")).expect(4).says(&["no backup"]);
    assert!(files(&backup) == kept, "the backup was changed");
    world
        .on("backup", &["run", "--commands", &world.file("none", "")])
        .run()
        .expect(4)
        .says(&["is a backup"]);
}

#[test]
fn a_backup_that_went_bad_is_found_and_not_restored() {
    let world = world(50);
    let backup = world.path("backup");
    let server = serve(&world, "data");
    back_up(&server, &backup).expect(0);
    drop(server);
    let (segment, book) = ("log/0000000000000001.seg", "participants/payments.book");
    let manifest = "manifest.json";
    type Change = fn(&mut Vec<u8>);
    let flip: Change = |bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    };
    let broken: [(&str, Change); 5] = [
        (segment, flip),
        (segment, |bytes| bytes.truncate(bytes.len() * 2 / 3)),
        (book, flip),
        (book, |bytes| bytes.truncate(bytes.len() - 1)),
        (manifest, |bytes| {
            *bytes = String::from_utf8_lossy(bytes).replace("\"hash\": \"", "\"hash\": \"0").into()
        }),
    ];
    for (name, change) in broken {
        let path = backup.join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        checked(&backup).expect(1);
        world.on("other", &["restore", "--from", backup.to_str().unwrap()]).run().expect(1);
        assert!(!world.path("other").exists(), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    let newer = std::fs::read_to_string(backup.join(manifest)).unwrap().replace("backup.v1", "backup.v2");
    std::fs::write(backup.join(manifest), newer).unwrap();
    checked(&backup).expect(4).says(&["newer RetailFlow"]);
}

/// All files below a folder, and what is in them.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_copy_is_read_without_a_byte_written() {
    let world = world(50);
    let server = serve(&world, "data");
    place(&server, "late");
    for words in [&["verify"][..], &["export", "--to", "/dev/null"], &["order", "show", "shop", "late"]] {
        let refused = world.on_data(&[words, &["--read-only"]].concat()).run().expect(4);
        refused.says(&["in use", "backup create"]);
    }
    server.kill();
    // What `cp -r` would take along: no lock, no index.
    let copy = world.path("copy/log");
    std::fs::create_dir_all(&copy).unwrap();
    for (path, bytes) in files(&world.path("data/log")) {
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::write(copy.join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
    let before = files(&world.path("copy"));
    world.on("copy", &["verify", "--read-only"]).run().expect(0);
    let export = world.on("copy", &["export", "--read-only"]).run().expect(0).stdout;
    let shown =
        world.on("copy", &["order", "show", "shop", "late", "--read-only", "-o", "json"]).run().expect(0);
    let history = world.on("copy", &["order", "history", "shop", "late", "--read-only"]).run().expect(0);
    assert!(files(&world.path("copy")) == before, "something was written");
    assert_eq!(
        shown.stdout,
        world.on_data(&["order", "show", "shop", "late", "-o", "json"]).run().expect(0).stdout
    );
    assert_eq!(history.stdout, world.on_data(&["order", "history", "shop", "late"]).run().expect(0).stdout);
    world.on("copy", &["order", "show", "shop", "none", "--read-only"]).run().expect(1);
    let from = world.file("export", export);
    world.on("other", &["restore", "--from", &from]).run().expect(0);
}
