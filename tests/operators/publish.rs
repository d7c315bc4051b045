//! `retailflow publish`.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{at, provision, stream};
use crate::support::cli::{Ended, file, retailflow};
use crate::support::nats::{Server, server_or_skip};
use crate::support::poll::wait_for;

const BOUND: Duration = Duration::from_secs(60);

/// Commands of this many orders and more, none of them twice; gives the file and how many.
fn commands(folder: &Path, orders: u32) -> (String, u64) {
    let path = folder.join("commands.jsonl");
    let orders = orders.to_string();
    let words =
        ["generate", "--orders", &orders, "--seed", "5", "--duplicate-permille", "0", "--late-permille", "0"];
    retailflow(&words).arg("--out").arg(&path).run().expect(0);
    let text = std::fs::read_to_string(&path).unwrap();
    (path.to_str().unwrap().to_owned(), text.lines().count() as u64)
}

fn summary(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn all_commands_are_published_and_again_does_no_harm() {
    let Some(binary) = server_or_skip("all_commands_are_published_and_again_does_no_harm") else { return };
    let (nats, folder) = (Server::with_streams(&binary), tempfile::tempdir().unwrap());
    provision(&nats);
    let (file, lines) = commands(folder.path(), 150);
    let words = ["publish", "--commands", &file, "-o", "json"];
    let ended = at(&nats, &words).run().expect(0);
    let said = summary(&ended);
    assert_eq!((&said["acknowledged"], &said["lines_done"]), (&lines.into(), &lines.into()), "{said}");
    assert_eq!(stream(&nats, "RF_CMD").messages, lines);
    assert_eq!(summary(&at(&nats, &words).run().expect(0))["acknowledged"], lines);
    // From standard input, for people.
    let ended =
        at(&nats, &["publish", "--commands", "-"]).stdin(std::fs::read(&file).unwrap()).run().expect(0);
    assert!(ended.stdout.contains(&format!("{lines} commands acknowledged")), "{}", ended.stdout);
}

#[test]
fn a_publish_that_was_killed_goes_on_where_it_was() {
    let Some(binary) = server_or_skip("a_publish_that_was_killed_goes_on_where_it_was") else { return };
    let (nats, folder) = (Server::with_streams(&binary), tempfile::tempdir().unwrap());
    provision(&nats);
    let (commands, lines) = commands(folder.path(), 6_000);
    let mark = folder.path().join("mark");
    let words = ["publish", "--commands", &commands, "--resume", mark.to_str().unwrap(), "-o", "json"];
    // One at a time: slow enough to be killed in the middle.
    let (mut child, _) = at(&nats, &words).arg("--in-flight").arg("1").spawn();
    let done = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap()["lines"].as_u64().unwrap();
    wait_for("some lines are done with", BOUND, || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it was killed");
        (done(std::fs::read(&mark).ok()?) > 0).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let marked = done(std::fs::read(&mark).unwrap());
    let stored = stream(&nats, "RF_CMD").messages;
    assert!(marked < lines && stored >= marked, "{marked} of {lines} lines marked, {stored} stored");

    let said = summary(&at(&nats, &words).run().expect(0));
    assert_eq!(said["lines_skipped"], marked, "{said}");
    assert_eq!(said["acknowledged"], lines - marked, "{said}");
    // Those between the mark and the kill are there twice, at most.
    let all = stream(&nats, "RF_CMD").messages;
    assert!(all >= lines && all <= stored + lines - marked, "{all} of {lines}");

    let said = summary(&at(&nats, &words).run().expect(0));
    assert_eq!((&said["lines_skipped"], &said["acknowledged"]), (&lines.into(), &0.into()), "{said}");
    // A line before the mark was rewritten, the first one is what it was: nothing of it is sent.
    let text = std::fs::read_to_string(&commands).unwrap();
    let rewritten: Vec<&str> =
        text.lines().enumerate().map(|(at, line)| if at == 3 { "{}" } else { line }).collect();
    let before = (stream(&nats, "RF_CMD").messages, std::fs::read(&mark).unwrap());
    for (name, lines) in [("rewritten", &rewritten[..]), ("shorter", &rewritten[..2])] {
        let more = rewritten.last().copied().unwrap_or_default();
        let other = file(folder.path(), name, format!("{}\n{more}\n", lines.join("\n")));
        let words = ["publish", "--commands", &other, "--resume", mark.to_str().unwrap()];
        at(&nats, &words).run().expect(4).says(&["tells how far another file was published"]);
    }
    assert_eq!((stream(&nats, "RF_CMD").messages, std::fs::read(&mark).unwrap()), before);
    let other = file(folder.path(), "other", "{}\n");
    let words = ["publish", "--commands", &other, "--resume", mark.to_str().unwrap()];
    at(&nats, &words).run().expect(4).says(&["tells how far another file was published"]);
}

/// A line of which half was written used to count as done with: its rest was read by nobody. And two runs with one mark took
/// each other's progress away.
#[test]
fn a_line_that_is_still_written_is_left_to_the_next_run_and_a_mark_to_one_run() {
    let test = "a_line_that_is_still_written_is_left_to_the_next_run_and_a_mark_to_one_run";
    let Some(binary) = server_or_skip(test) else { return };
    let (nats, folder) = (Server::with_streams(&binary), tempfile::tempdir().unwrap());
    provision(&nats);
    let (commands, lines) = commands(folder.path(), 3);
    let whole = std::fs::read_to_string(&commands).unwrap();
    let (half, mark) = (folder.path().join("half"), folder.path().join("mark"));
    std::fs::write(&half, &whole[..whole.len() - 20]).unwrap();
    let words =
        ["publish", "--commands", half.to_str().unwrap(), "--resume", mark.to_str().unwrap(), "-o", "json"];
    let ended = at(&nats, &words).run().expect(3);
    assert_eq!(summary(&ended)["lines_done"], lines - 1);
    ended.says(&["has no end", "left to the next run"]);
    std::fs::write(&half, &whole).unwrap();
    let said = summary(&at(&nats, &words).run().expect(0));
    assert_eq!((&said["acknowledged"], &said["lines_skipped"]), (&1.into(), &(lines - 1).into()), "{said}");
    assert_eq!(stream(&nats, "RF_CMD").messages, lines);
    // A last line that is a command needs no end.
    std::fs::write(&half, whole.trim_end()).unwrap();
    at(&nats, &words).run().expect(0);

    let lock = std::fs::File::open(folder.path().join("mark.lock")).unwrap();
    lock.lock().unwrap();
    at(&nats, &words).run().expect(4).says(&["another run publishes with"]);
}

/// Row 26 of the orders' cases. A bad line stayed `skipped: done` when it was put right, and the run after it ended well although the line was
/// stored nowhere.
#[test]
fn a_file_that_was_corrected_in_the_middle_is_not_taken_as_done() {
    let test = "a_file_that_was_corrected_in_the_middle_is_not_taken_as_done";
    let Some(binary) = server_or_skip(test) else { return };
    let (nats, folder) = (Server::with_streams(&binary), tempfile::tempdir().unwrap());
    provision(&nats);
    let (commands, lines) = commands(folder.path(), 5);
    let whole = std::fs::read_to_string(&commands).unwrap();
    let mark = folder.path().join("mark");
    let words = ["publish", "--commands", &commands, "--resume", mark.to_str().unwrap(), "-o", "json"];
    let with = |at: usize, line: &str| {
        let lines = whole.lines().enumerate().map(|(n, good)| if n == at { line } else { good });
        lines.fold(String::new(), |text, line| text + line + "\n")
    };
    std::fs::write(&commands, with(2, "{}")).unwrap();
    let said = summary(&at(&nats, &words).run().expect(1));
    assert_eq!((&said["undecodable"], &said["lines_done"]), (&1.into(), &lines.into()), "{said}");
    // Nothing is left to do, and one line is stored nowhere.
    let again = at(&nats, &words).run().expect(1).says(&["1 of the lines", "stored nowhere"]);
    assert_eq!(summary(&again)["left_out_before"], 1);
    // Put right, it is another file; so is one of which a good line was changed.
    let other = whole.lines().nth(2).unwrap().replace("\"quantity\":", "\"quantity\":1");
    for rewritten in [whole.clone(), with(2, &other)] {
        std::fs::write(&commands, rewritten).unwrap();
        let ended = at(&nats, &words).run().expect(4).says(&["If the file was rewritten, remove the mark"]);
        assert!(!ended.stdout.contains("skipped"), "{}", ended.stdout);
    }
    std::fs::write(&commands, &whole).unwrap();
    std::fs::remove_file(&mark).unwrap();
    let said = summary(&at(&nats, &words).run().expect(0));
    assert_eq!(said["acknowledged"], lines, "{said}");
}

#[test]
fn what_is_no_command_and_what_is_not_stored_is_told() {
    let Some(binary) = server_or_skip("what_is_no_command_and_what_is_not_stored_is_told") else { return };
    let (nats, folder) = (Server::with_streams(&binary), tempfile::tempdir().unwrap());
    let (commands, lines) = commands(folder.path(), 5);
    let mark = folder.path().join("mark");
    // There are no streams yet.
    let words = [
        "publish",
        "--commands",
        &commands,
        "--patience",
        "1",
        "-o",
        "json",
        "--resume",
        mark.to_str().unwrap(),
    ];
    let ended = at(&nats, &words).run().expect(3).says(&["beginning with line 1", "the same --resume"]);
    let said = summary(&ended);
    let left = said["unknown"].as_u64().unwrap() + said["not_sent"].as_u64().unwrap();
    assert_eq!((left, &said["lines_done"]), (lines, &0.into()), "{said}");

    provision(&nats);
    let mixed = format!("\n{{}}\n{}", std::fs::read_to_string(&commands).unwrap());
    let mixed = file(folder.path(), "mixed", mixed);
    let ended = at(&nats, &["publish", "--commands", &mixed, "-o", "json"]).run().expect(1);
    assert_eq!(summary(&ended)["undecodable"], 1);
    ended.says(&["line 2: ", "it is left out", "1 lines are no commands"]);
    assert_eq!(stream(&nats, "RF_CMD").messages, lines);
    retailflow(&["publish", "--commands", &mixed]).run().expect(2).says(&["--nats URL"]);
    let nobody = ["publish", "--commands", &mixed, "--nats", "nats://127.0.0.1:1"];
    retailflow(&nobody).run().expect(3).says(&["cannot connect to NATS"]);
}
