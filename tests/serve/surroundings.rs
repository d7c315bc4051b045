//! What operators' surroundings can do: umasks, links, deleted locks, signals, readers that go.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use retailflow_os::files::raise_open_files;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::cli::{Call, exit_code, retailflow};
use crate::support::poll::wait_for;
use crate::support::server::Server;
use crate::support::world::{World, places};

const BOUND: Duration = Duration::from_secs(60);
const HEADERS: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Ce-Type", "retailflow.order.place.v1")];
const PLACE: &str = r#"{"customer":"c","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":1,"amount_minor":1177}]}"#;

fn place(server: &Server, order: &str) -> u16 {
    let headers = [&HEADERS[..], &[("Idempotency-Key", order)]].concat();
    let path = format!("/v1/tenants/t/orders/{order}/commands");
    server.client().post(&path, &headers, PLACE).unwrap().status
}

/// All that is in a folder, with the modes; the folder itself is left out.
fn modes(folder: &Path) -> Vec<(PathBuf, bool, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            found.extend(modes(&path));
        }
        found.push((path, about.is_dir(), about.permissions().mode() & 0o777));
    }
    found
}

/// The same call under a shell's `first` words.
fn under(first: &str, call: Call) -> Command {
    let call = call.into_command();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{first} exec \"$0\" \"$@\""))
        .arg(call.get_program())
        .args(call.get_args());
    command.current_dir(call.get_current_dir().unwrap());
    for (name, value) in call.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn what_is_written_is_the_owners_alone_whatever_the_umask() {
    let world = World::new();
    let commands = world.file("commands", places(0, 50));
    let ran = under("umask 000;", world.run(&commands)).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let serving = world.on_data(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut child = under("umask 000;", serving).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening"), "{line}");
    wait_for("the lists are made", BOUND, || world.path("data/views/db").exists().then_some(()));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
    let found = modes(&world.path("data"));
    for name in ["secret", "log", "index", "views", "participants"] {
        assert!(found.iter().any(|(path, ..)| *path == world.path("data").join(name)), "{name}: {found:?}");
    }
    let ours = [world.path("data"), world.path("outcomes"), world.path("report")];
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(ours.each_ref().map(mode), [0o700, 0o600, 0o600]);
    let open: Vec<_> =
        found.iter().filter(|(_, dir, mode)| *mode != if *dir { 0o700 } else { 0o600 }).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn nothing_is_written_through_a_link_inside_the_data() {
    let world = World::new();
    world.run(&world.file("commands", places(0, 5))).run().expect(0);
    let (data, away) = (world.path("data"), world.path("away"));
    for name in ["log", "index", "views", "participants", "secret", "log/lock"] {
        let there = data.join(name);
        let is_there = there.exists();
        if is_there {
            fs::rename(&there, &away).unwrap();
        }
        symlink(&away, &there).unwrap();
        for verb in [
            &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"][..],
            &["run", "--commands", "-"],
        ] {
            world.on_data(verb).run().expect(4).says(&["is a symbolic link", name, "mount it there"]);
        }
        assert_eq!(away.exists(), is_there, "nothing was made through {name}");
        fs::remove_file(&there).unwrap();
        if is_there {
            fs::rename(&away, &there).unwrap();
        }
    }
    // The data directory itself may be one.
    symlink(&data, &away).unwrap();
    world.on("away", &["run", "--quiet", "--commands", "-"]).run().expect(0);
}

#[test]
fn a_second_server_is_kept_out_whatever_is_deleted_under_the_first() {
    let world = World::new();
    let server = Server::start(&world);
    let data = world.path("data");
    assert_eq!(place(&server, "o1"), 200);
    for deleted in ["log/lock", "index"] {
        let path = data.join(deleted);
        drop(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
        for verb in ["serve", "run"] {
            let more: &[&str] = match verb {
                "serve" => &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
                _ => &["--commands", "-"],
            };
            world.on_data(&[&[verb], more].concat()).run().expect(4).says(&["in use"]);
        }
    }
    assert_eq!(place(&server, "o2"), 200, "the first one goes on");
    server.kill();
    let server = Server::start(&world);
    assert_eq!(place(&server, "o3"), 200);
    server.stop();
}

#[test]
fn every_signal_to_end_ends_in_good_order() {
    // Whoever starts these tests by `nohup` has hangups ignored, and a server leaves that as it is.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let hears = |signal: &Signal| ignored >> (signal.as_raw() - 1) & 1 == 0;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].into_iter().filter(hears) {
        let world = World::new();
        let server = Server::start(&world);
        assert_eq!(place(&server, "o1"), 200);
        server.signal(signal);
        let (code, said) = server.ended();
        assert_eq!(code, Some(0), "{signal:?}: {said}");
        assert_eq!(world.verified("data", 0)["clean_stop"], true, "{signal:?}");
    }
}

#[test]
fn a_hangup_that_is_ignored_and_readers_that_go_end_nothing() {
    let world = World::new();
    let call = world.on_data(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    // As `nohup` starts it; and told to say much, so that it writes into pipes that nobody reads.
    let call = call.arg("--set").arg("telemetry.log=debug");
    let mut command = under("trap '' HUP;", call);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split_once(',')).unwrap().0;
    drop(child.stderr.take());
    let pid = Pid::from_child(&child);
    for signal in [Signal::HUP, Signal::PIPE] {
        kill_process(pid, signal).unwrap();
    }
    let client = || crate::support::http::Client::new(address);
    for n in 0..20 {
        let order = format!("o{n}");
        let headers = [&HEADERS[..], &[("Idempotency-Key", &*order)]].concat();
        let answer =
            client().post(&format!("/v1/tenants/t/orders/{order}/commands"), &headers, PLACE).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(child.try_wait().unwrap().is_none());
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
    assert_eq!(world.verified("data", 0)["orders"], 20);
}

#[test]
fn tokens_outlive_a_restart_and_a_lost_secret_is_told() {
    let world = World::new();
    let server = Server::start(&world);
    assert_eq!(place(&server, "o1"), 200);
    let list = |server: &Server, query: &str| {
        let answer = server.client().get(&format!("/v1/tenants/t/orders{query}")).unwrap();
        (answer.status, answer.json())
    };
    let mut position = String::new();
    wait_for("a list", BOUND, || {
        let (status, list) = list(&server, "");
        position = list["position"].as_str().unwrap_or_default().to_owned();
        (status == 200).then_some(())
    });
    server.stop();
    let server = Server::start(&world);
    wait_for("the list", BOUND, || (list(&server, &format!("?at_least={position}")).0 == 200).then_some(()));
    server.stop();
    fs::remove_file(world.path("data").join("secret")).unwrap();
    let server = Server::start(&world);
    let (status, refused) = list(&server, &format!("?at_least={position}"));
    assert_eq!((status, &refused["code"]), (400, &"invalid_token".into()), "{refused}");
    server.stop();
    fs::write(world.path("data").join("secret"), "short").unwrap();
    let anywhere = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    world.on_data(&anywhere).run().expect(1).says(&["secret", "remove it"]);
}

/// A thousand connections on which nothing is said, where the process may have 1,024 files open: operators come in, and the
/// log finds a file for each next segment.
#[test]
fn idle_connections_leave_files_to_the_log_and_to_operators() {
    raise_open_files();
    let world = World::new();
    let mut call = world.on_data(&["serve"]).with_open_files(1024);
    for small in ["log.segment_bytes", "log.group_max_bytes", "orders.record_max_bytes"] {
        call = call.arg("--set").arg(format!("{small}=65536"));
    }
    let server = Server::of(call);
    let idle: Vec<TcpStream> = (0..1000).filter_map(|_| TcpStream::connect(&server.public).ok()).collect();
    assert!(idle.len() > 900, "{} connected", idle.len());
    // One that has just come does not give way yet: until then others are refused, or closed.
    let path = "/v1/tenants/t/orders/first/commands";
    let first = [&HEADERS[..], &[("Idempotency-Key", "first")]].concat();
    let placed = || server.client().post(path, &first, PLACE).is_ok_and(|answer| answer.status == 200);
    wait_for("there is room", BOUND, || placed().then_some(()));
    for number in 0..150 {
        assert_eq!(place(&server, &format!("o-{number}")), 200, "order {number}");
    }
    retailflow(&["parked", "list", "--admin", &server.admin_url()]).run().expect(0);
    let segments = fs::read_dir(world.path("data").join("log")).unwrap().flatten();
    let segments = segments.filter(|file| file.file_name().to_string_lossy().ends_with(".seg")).count();
    assert!(segments > 1, "{segments}: it found files for new segments");
    let said = server.stop();
    assert!(said.contains("connections_capped"), "{said}");
    drop(idle);
    world.verified("data", 0);
}
