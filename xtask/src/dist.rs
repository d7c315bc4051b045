//! The program as it is shipped: small, with its debug information in a file beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Builds the program optimized across all packages, and takes its line tables out into
/// `retailflow.debug`, which debuggers and `addr2line` find by the link that stays in the program.
///
/// # Errors
///
/// The build fails, or this system's programs are not ELF files.
pub(crate) fn run() -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "debug information is split off on Linux only: use `cargo build --release`"
    );
    let status = shell::cargo().args(["build", "--release", "--package", "retailflow"]).status()?;
    ensure!(status.success(), "the build failed");
    let folder = shell::target()?.join("release");
    let built = folder.join("retailflow");
    let shipped = folder.join("ship");
    std::fs::create_dir_all(&shipped).with_context(|| format!("cannot make {}", shipped.display()))?;
    let (program, debug) = (shipped.join("retailflow"), shipped.join("retailflow.debug"));
    objcopy(&[Path::new("--only-keep-debug"), &built, &debug])?;
    let link = PathBuf::from(format!("--add-gnu-debuglink={}", debug.display()));
    objcopy(&[Path::new("--strip-all"), &link, &built, &program])?;
    for file in [&program, &debug] {
        let bytes = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        println!("{:>6.1} MB  {}", bytes as f64 / 1e6, file.display());
    }
    Ok(())
}

/// Runs the `objcopy` that comes with Rust.
fn objcopy(arguments: &[&Path]) -> Result<()> {
    let rustc = || Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let sysroot = PathBuf::from(shell::text(rustc().args(["--print", "sysroot"]))?);
    let version = shell::text(rustc().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let program = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    // It is linked with LLVM's library, which lies where no loader looks.
    shell::output(Command::new(program).args(arguments).env("LD_LIBRARY_PATH", sysroot.join("lib")))?;
    Ok(())
}
