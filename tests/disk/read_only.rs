//! Copies that can only be read: a snapshot of a volume, a mount of another machine's.

use std::process::Command;

use super::HOW;
use super::round::mounted;
use crate::support::cli::{file, retailflow};
use crate::support::serving::or_skipped;
use crate::support::world::places;

/// `verify` used to say that it cannot lock the log, and `order show` that it cannot sync its folder, unless they were told
/// that nothing can be written there.
#[test]
fn a_copy_that_can_only_be_read_is_verified_exported_and_shown() {
    let test = "a_copy_that_can_only_be_read_is_verified_exported_and_shown";
    let Some((_disk, mount, folder)) = or_skipped(test, "fuse", HOW, || mounted(0).ok()) else { return };
    let data = mount.folder().join("data");
    let commands = file(folder.path(), "commands", places(0, 3));
    let on_data = |words: &[&str]| retailflow(words).arg("--data").arg(&data);
    on_data(&["run", "--quiet", "--commands", &commands]).run().expect(0);
    let shows = [&["order", "show", "t", "o1"][..], &["order", "history", "t", "o1", "-o", "json"]];
    let before = shows.map(|words| on_data(words).run().expect(0).stdout);

    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(mount.folder()).output();
    let is_read_only = remount.is_ok_and(|done| done.status.success());
    let Some(()) = or_skipped(test, "mount", HOW, || is_read_only.then_some(())) else { return };
    assert!(std::fs::write(mount.folder().join("x"), "x").is_err(), "nothing can be written");
    let verified = on_data(&["verify"]).run().expect(0).stdout;
    assert!(verified.contains("all is in order"), "{verified}");
    assert_eq!(shows.map(|words| on_data(words).run().expect(0).stdout), before);
    on_data(&["order", "show", "t", "o1"]).run().expect(0).says(&["can only be read"]);
    let exported = on_data(&["export"]).run().expect(0).stdout;
    assert!(exported.ends_with("}}\n") && exported.contains("\"end\""), "{exported}");
    // What has to write says so.
    on_data(&["run", "--quiet", "--commands", &commands]).run().expect(3).says(&["Read-only file system"]);
}
