//! The same of a node that needs no servers: what `doctor --data` and `--admin` name.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::retailflow;
use crate::support::poll::wait_for;
use crate::support::server::Server;

const BOUND: Duration = Duration::from_secs(60);

fn doctor(data: &Path, admin: Option<&str>, code: i32) -> Vec<Value> {
    let call = retailflow(&["doctor", "-o", "json"]).arg("--data").arg(data);
    let call = admin.into_iter().fold(call, |call, admin| call.arg("--admin").arg(admin));
    let said: Value = serde_json::from_str(&call.run().expect(code).stdout).unwrap();
    // How full this machine's disk is is none of the test's.
    let here = |finding: &&Value| {
        finding["level"] != "ok" && !finding["what"].as_str().unwrap().starts_with("room at ")
    };
    said["findings"].as_array().unwrap().iter().filter(here).cloned().collect()
}

fn serve(words: &str) -> Server {
    Server::of(retailflow(&words.split(' ').collect::<Vec<_>>()).arg("--participants").arg("instant"))
}

#[track_caller]
fn named<'a>(ill: &'a [Value], text: &str) -> &'a Value {
    ill.iter()
        .find(|finding| finding.to_string().contains(text))
        .unwrap_or_else(|| panic!("{text:?}: {ill:#?}"))
}

#[test]
fn a_lone_node_that_is_not_as_it_should_be_is_named_with_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");

    // No data directory, and one on which nobody works: what is named is typed.
    let ill = doctor(&data, None, 3);
    let missing = named(&ill, "is not there");
    let node = serve(missing["command"].as_str().unwrap());
    let admin = node.admin_url();
    wait_for("it is well", BOUND, || doctor_is_well(&data, &admin));
    node.stop();
    let ill = doctor(&data, None, 1);
    let node = serve(named(&ill, "no process works on it")["command"].as_str().unwrap());
    let admin = node.admin_url();
    wait_for("it is well", BOUND, || doctor_is_well(&data, &admin));

    // It runs, and is asked at another address.
    let ill = doctor(&data, Some("http://127.0.0.1:1"), 1);
    named(&ill, "name its operators' address with --admin");
    assert!(doctor(&data, Some(&admin), 0).is_empty());
    node.stop();

    // What is no data directory.
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    named(&doctor(&file, None, 3), "is no directory");
    named(&doctor(folder.path(), None, 1), "holds no log");

    // A log that is damaged: what was whole is put back.
    let segment = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some()).min().unwrap();
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[200] ^= 0xff;
    fs::write(&segment, &damaged).unwrap();
    let ill = doctor(&data, None, 1);
    named(&ill, "retailflow verify");
    fs::write(&segment, &whole).unwrap();
    let ill = doctor(&data, None, 1);
    assert_eq!(ill.len(), 1, "only that nobody works on it: {ill:#?}");
}

fn doctor_is_well(data: &Path, admin: &str) -> Option<()> {
    let call = retailflow(&["doctor", "--admin", admin]).arg("--data").arg(data);
    (call.run().code == Some(0)).then_some(())
}
