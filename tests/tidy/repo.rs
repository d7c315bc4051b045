//! The files of the repository and the words for a broken rule.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The files that are, or are about to be, under version control.
pub(crate) struct Repo {
    root: PathBuf,
    pub(crate) files: Vec<String>,
}

impl Repo {
    pub(crate) fn open() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listing = output(Command::new("git").args(args).current_dir(&root));
        let mut files: Vec<String> =
            listing.split('\0').filter(|f| !f.is_empty()).map(str::to_string).collect();
        // A file deleted but not yet committed is still listed.
        files.retain(|f| root.join(f).is_file());
        files.sort();
        files.dedup();
        assert!(files.iter().any(|f| f == "Cargo.toml"), "git lists no files in {}", root.display());
        Self { root, files }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file as text; what is not UTF-8 in it is replaced.
    pub(crate) fn text(&self, file: &str) -> String {
        let bytes = std::fs::read(self.root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub(crate) fn with_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |f| f.ends_with(ending))
    }
}

/// What the command prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Fails with all broken places, if there are any.
#[track_caller]
pub(crate) fn none_broken(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// The lines of a Rust file that are code, numbered from 1, comments taken off. A `//` within a string ends the
/// line as well: good enough for rules about names.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("")))
        .filter(|(_, l)| !l.trim().is_empty())
}

/// As [`code_lines`], without the test module written out at the end of the file.
pub(crate) fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<(usize, &str)> = code_lines(text).collect();
    let is_test_module = |pair: &[(usize, &str)]| {
        pair[0].1 == "#[cfg(test)]" && pair[1].1.starts_with("mod ") && pair[1].1.trim_end().ends_with('{')
    };
    let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
    lines.into_iter().take(end)
}

/// Whether `line` names the crate `name`, as in `name::item` or `use name;`.
pub(crate) fn names_crate(line: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let whole = !before.ends_with(|c| is_name(c) || c == ':');
        let used = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        whole && (after.starts_with("::") || used)
    })
}

#[test]
fn crates_and_lines_are_told_apart() {
    assert!(names_crate("use bincode::config;", "bincode"));
    assert!(names_crate("    let x = bincode::encode();", "bincode"));
    assert!(names_crate("use bincode as b;", "bincode"));
    assert!(!names_crate("my_bincode::x(); crate::bincode::y(); let bincode = 1;", "bincode"));
    let text = "a();\n// b();\n#[cfg(test)]\nmod c;\nd(); // e\n#[cfg(test)]\nmod f {\n}";
    assert_eq!(code_lines(text).map(|(n, _)| n).collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7, 8]);
    assert_eq!(shipped_lines(text).map(|(n, _)| n).collect::<Vec<_>>(), [1, 3, 4, 5]);
}
