//! schemathesis against a real server: requests made from the OpenAPI documents, valid and not, and each answer held
//! against them. Bounded in time; `cargo xtask setup --tests` fetches it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::cli::repository;
use crate::support::serving::{Serving, or_skipped, tool};

/// Time for one run, of three: fuzzing stops by itself then.
const TIME_SECONDS: u64 = 10;
/// Its start and its report come on top.
const ENDS_WITHIN: Duration = Duration::from_secs(TIME_SECONDS + 90);
/// Names that are there, so that reads find something: names made up show refusals alone.
const KNOWN: &str = "[parameters]\n\"path.tenant\" = \"shop\"\n\"path.order\" = \"o-1\"\n";
/// The reads. Commands are left to the other run: making up their bodies takes most of its time.
const READS: &[&str] = &["--include-path-regex", "/orders", "--exclude-method", "POST"];

/// A caller that gives a server a millisecond gets an honest 503 or 504 on a busy machine. So a valid time is made a
/// long one; that the header is checked is tried with the values that are not valid.
const HOOKS: &str = r#"import schemathesis

@schemathesis.hook
def before_call(context, case, **kwargs):
    for name, value in list((case.headers or {}).items()):
        if name.lower() == "rf-timeout-ms" and str(value).isascii() and str(value).isdigit():
            if 0 < int(value) < 20000:
                case.headers[name] = "20000"
"#;

/// The folder it was installed in.
fn home() -> Option<PathBuf> {
    let named = std::env::var_os("RETAILFLOW_TOOLS").map(PathBuf::from);
    let home = named.unwrap_or_else(|| repository().join(".tools")).join("schemathesis");
    home.join("schemathesis").is_dir().then_some(home)
}

/// Tries the document of one door, with these settings.
fn tried(home: &Path, address: &str, settings: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    std::fs::write(folder.path().join("hooks.py"), HOOKS).unwrap();
    let mut command = Command::new("python3");
    // One worker: two threads of CPython 3.11 that parse source text (as hypothesis does) disturb each other at times.
    command.args(["-m", "schemathesis.cli", "run", "--no-color", "--workers", "1"]);
    command.arg(format!("--max-time={TIME_SECONDS}"));
    command.args(["--max-failures", "10", "--request-timeout", "20"]);
    // Which path goes with which body, and what an order allows, a schema cannot say: valid requests are refused, too.
    command.args(["--exclude-checks", "positive_data_acceptance", "--generation-database", "none"]);
    // A stream of events does not end.
    command.args(["--exclude-path", "/v1/tenants/{tenant}/events", "--warnings", "off", "--no-shrink"]);
    command.args(more);
    command.arg(format!("http://{address}/openapi.json"));
    let python_path = std::env::join_paths([home, folder.path()]).unwrap();
    command
        .env("PYTHONPATH", python_path)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(folder.path());
    let (status, out, err) = tool(command, ENDS_WITHIN);
    assert!(status.success(), "{status}\n{out}\n{err}");
    // On a machine that is busy its time is over early: that must not look like a full try.
    if out.contains("Time limit reached") {
        drop(writeln!(std::io::stderr(), "schemathesis: had no time for all of {address}"));
    }
}

#[test]
fn every_answer_is_one_that_the_documents_declare() {
    let how = "cargo xtask setup --tests fetches it";
    let Some(home) = or_skipped("schemathesis", "schemathesis", how, home) else { return };
    let serving = Serving::start(&["--set", "probe.interval_ms=0"]);
    assert_eq!(serving.place("o-1", "cd"), 200);
    tried(&home, &serving.public, "", &[]);
    tried(&home, &serving.public, KNOWN, READS);
    tried(&home, &serving.admin, "", &[]);
    assert!(!serving.log().contains("panicked"), "{}", serving.log());
}
