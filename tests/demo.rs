//! The demo of the README, with the build under test: what a newcomer sees first works.

use std::process::Command;

#[test]
fn the_demo_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut demo = Command::new(cargo);
    demo.args(["run", "--quiet", "--package", "retailflow-xtask", "--", "demo", "--binary"]);
    demo.arg(env!("CARGO_BIN_EXE_retailflow")).arg("--folder").arg(folder.path());
    let output = demo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("== 7. "), "{said}");
}
