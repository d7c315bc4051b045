//! Load over HTTP: `wrk` against a server of its own, on an empty data directory, and what the server says meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::shell;

/// Threads of `wrk`: half of what the machine this was made on has.
const WRK_THREADS: &str = "1";
const WRK_TIMEOUT: &str = "30s";
const OVERLOAD_CONNECTIONS: f64 = 4000.0;
/// How often the quiet caller sends.
const QUIET_EVERY: Duration = Duration::from_millis(5);
const SAMPLE: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_secs(60);

/// A server on an empty data directory; killed when dropped.
struct Server {
    child: Child,
    public: String,
    admin: String,
    data: PathBuf,
    started: Instant,
}

/// What the server counts, at one moment.
#[derive(Clone, Copy, Default)]
struct Sample {
    applied: f64,
    ended: f64,
    resident_mb: f64,
}

pub(crate) fn run(seconds: &str) -> Result<()> {
    let seconds: u64 = seconds.parse().context("SECONDS is a number")?;
    let found = Command::new("wrk").arg("-v").output();
    ensure!(found.is_ok(), "`wrk` is needed for this (Debian: apt install wrk), and is not on PATH");
    println!("Building RetailFlow (release).");
    let status = shell::cargo().args(["build", "--release", "--package", "retailflow"]).status()?;
    ensure!(status.success(), "the build failed");
    println!("intake: commands are taken in, steps are left for later");
    let server = Server::start(&["--intake-only"])?;
    for connections in ["512", "64", "1"] {
        let (told, quiet) =
            server.beside_quiet_caller(|| server.wrk(connections, 10.min(seconds), connections))?;
        println!("  {connections:>4} connections: {}", line(&told));
        println!("       a quiet caller beside them: {quiet}");
    }
    drop(server);
    println!("sustained: whole lives, participants that do all at once");
    sustained(seconds)?;
    println!("overload: three times as much as was done at best");
    overload(seconds.min(20))
}

/// Places and completions side by side, and the memory, over `seconds`.
fn sustained(seconds: u64) -> Result<()> {
    let server = Server::start(&["--participants", "instant"])?;
    let begun = Instant::now();
    let before = server.sample()?;
    thread::scope(|scope| -> Result<()> {
        let load = scope.spawn(|| server.wrk("512", seconds, "s"));
        while !load.is_finished() {
            thread::sleep(SAMPLE.min(Duration::from_secs(seconds)));
            let now = server.sample()?;
            println!(
                "  {:>4} s: {:>9} placed, {:>9} ended, {:>6} open, {:>5} MB",
                begun.elapsed().as_secs(),
                now.applied,
                now.ended,
                now.applied - now.ended,
                now.resident_mb
            );
        }
        let told = load.join().map_err(|_| anyhow::anyhow!("the load ended badly"))??;
        println!("   512 connections: {}", line(&told));
        let after = server.sample()?;
        let took = begun.elapsed().as_secs_f64();
        println!("  {:.0} orders a second to their end", (after.ended - before.ended) / took);
        Ok(())
    })
}

/// Three times as many requests as there is room for, over many connections: refused quickly, and what is let in is
/// answered as fast as before.
fn overload(seconds: u64) -> Result<()> {
    let server = Server::start(&["--participants", "instant"])?;
    let best = server.wrk("512", seconds, "b")?;
    println!("   512 connections: {}", line(&best));
    let best = best["requests"].as_f64().unwrap_or(1.0) / best["seconds"].as_f64().unwrap_or(1.0).max(1e-9);
    let pause_ms = OVERLOAD_CONNECTIONS * 1000.0 / (3.0 * best);
    let before = server.sample()?;
    let told = server.wrk_paced(&OVERLOAD_CONNECTIONS.to_string(), seconds, "o", pause_ms)?;
    let after = server.sample()?;
    println!("  {OVERLOAD_CONNECTIONS} connections, each every {pause_ms:.0} ms: {}", line(&told));
    let applied = (after.applied - before.applied) / told["seconds"].as_f64().unwrap_or(1.0).max(1e-9);
    println!(
        "  applied {applied:.0} a second, {:.0} % of the best; memory {} MB before, {} MB after",
        100.0 * applied / best,
        before.resident_mb,
        after.resident_mb
    );
    Ok(())
}

fn line(told: &Value) -> String {
    let number = |name: &str| told[name].as_f64().unwrap_or_default();
    format!(
        "{:.0} answers a second, p50 {:.2} ms, p99 {:.2} ms, slowest {:.0} ms; {} of {} not 2xx, {} broken",
        number("requests") / number("seconds").max(1e-9),
        number("p50_ms"),
        number("p99_ms"),
        number("max_ms"),
        number("refused"),
        number("requests"),
        number("broken")
    )
}

impl Server {
    fn start(options: &[&str]) -> Result<Self> {
        let target = shell::target()?;
        let data = target.join("load").join(std::process::id().to_string());
        clear(&data)?;
        let mut child = Command::new(target.join("release").join("retailflow"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--set", "telemetry.log=warn", "--data"])
            .arg(&data)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .context("retailflow cannot be started")?;
        let mut said = String::new();
        let out = child.stdout.take().context("no standard output")?;
        BufReader::new(out).read_line(&mut said)?;
        let addresses: Vec<&str> = said
            .split("http://")
            .skip(1)
            .filter_map(|rest| rest.split(|end: char| end == ',' || end.is_whitespace()).next())
            .collect();
        let [public, admin] = addresses[..] else { bail!("the server did not come up: {said}") };
        Ok(Self {
            child,
            public: public.to_string(),
            admin: admin.to_string(),
            data,
            started: Instant::now(),
        })
    }

    /// `load`, and beside it a caller with a tenant of its own, who sends one place at a time, every few milliseconds: whatever
    /// holds all up for a moment shows in its slowest answer.
    fn beside_quiet_caller(&self, load: impl FnOnce() -> Result<Value>) -> Result<(Value, String)> {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let quiet = scope.spawn(|| self.quiet_caller(&ended));
            let told = load();
            ended.store(true, Ordering::Relaxed);
            let quiet = quiet.join().map_err(|_| anyhow::anyhow!("the quiet caller ended badly"))?;
            Ok((told?, quiet?))
        })
    }

    fn quiet_caller(&self, ended: &AtomicBool) -> Result<String> {
        let body = r#"{"customer":"00042","currency":"USD","lines":[{"line_id":"1","sku":"cd","quantity":2,"amount_minor":1177}]}"#;
        let mut stream = BufReader::new(TcpStream::connect(&self.public)?);
        stream.get_ref().set_nodelay(true)?;
        let named = self.started.elapsed().as_micros();
        let mut took: Vec<Duration> = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let number = took.len();
            let request = format!(
                "POST /v1/tenants/quiet/orders/q-{named}-{number}/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
                 application/json\r\nCe-Type: retailflow.order.place.v1\r\nContent-Length: {}\r\nIdempotency-Key: p\r\n\r\n{body}",
                body.len()
            );
            let sent = Instant::now();
            stream.get_mut().write_all(request.as_bytes())?;
            let status = read_answer(&mut stream)?;
            ensure!(status.contains(" 2"), "the quiet caller was answered {status}");
            took.push(sent.elapsed());
            thread::sleep(QUIET_EVERY);
        }
        took.sort_unstable();
        let at = |share: f64| {
            let number = (took.len() as f64 * share) as usize;
            took.get(number.min(took.len().saturating_sub(1))).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        Ok(format!(
            "p50 {:.2} ms, p99 {:.2} ms, longest stall {:.1} ms, of {}",
            at(0.5),
            at(0.99),
            at(1.0),
            took.len()
        ))
    }

    fn wrk(&self, connections: &str, seconds: u64, name: &str) -> Result<Value> {
        self.wrk_paced(connections, seconds, name, 0.0)
    }

    fn wrk_paced(&self, connections: &str, seconds: u64, name: &str, pause_ms: f64) -> Result<Value> {
        let script = shell::root().join("benches").join("http").join("place.lua");
        let mut command = Command::new("wrk");
        command.args(["-t", WRK_THREADS, "-c", connections, "--timeout", WRK_TIMEOUT, "--latency"]);
        command.args(["-d", &format!("{seconds}s"), "-s"]).arg(script);
        command.arg(format!("http://{}", self.public)).args(["--", name, &pause_ms.round().to_string()]);
        let said = shell::text(&mut command)?;
        let told = said.lines().rev().find(|line| line.starts_with('{')).context("wrk says nothing")?;
        Ok(serde_json::from_str(told)?)
    }

    fn sample(&self) -> Result<Sample> {
        let mut stream = TcpStream::connect(&self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let value = |start: &str| -> f64 {
            let found = text.lines().find(|line| line.starts_with(start));
            found.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
        };
        Ok(Sample {
            applied: value(r#"retailflow_commands_total{tenant="bench",type="place",status="applied"}"#),
            ended: value("retailflow_orders_ended_total"),
            resident_mb: (value("retailflow_process_resident_bytes") / 1e6).round(),
        })
    }
}

/// Reads one answer to its end; gives its first line.
fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut status = String::new();
    stream.read_line(&mut status)?;
    let mut bytes = 0;
    loop {
        let mut header = String::new();
        ensure!(stream.read_line(&mut header)? > 0, "the server hung up");
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            bytes = value.trim().parse()?;
        }
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body)?;
    Ok(status)
}

impl Drop for Server {
    fn drop(&mut self) {
        // In good order if it will, so that the next one has the machine for itself.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + STOP_MAX;
        while asked.is_ok() && Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        drop(clear(&self.data));
    }
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}
