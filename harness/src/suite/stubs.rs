//! Stubs: a Rust function for each test file, for editors that find tests by reading Rust.
//!
//! rust-analyzer's test explorer shows functions marked `#[test]`, and does not ask the test binary for its list. In a
//! target with `harness = false` the compiler drops such functions, so they cost nothing. If the user runs one from the
//! editor, its name becomes a filter, which [`Filter`](super::Filter) matches against each file's Rust path.

use std::fmt::Write;

use super::TestFile;

/// The first lines of every stub file.
const HEAD: &str = "\
// One empty function for each test file, so that rust-analyzer's test explorer lists them; the compiler drops these.
// Written by `slt stubs`; after adding or removing test files, run it again.
";

/// The stubs of these files, as Rust source for the test target to `include!`.
pub fn stubs(files: &[TestFile]) -> String {
    let mut paths: Vec<Vec<&str>> = files.iter().map(|file| file.rust_path.split("::").collect()).collect();
    paths.sort_unstable();
    let mut source = HEAD.to_owned();
    write_module(&mut source, &paths, 0);
    source
}

/// Writes the functions and modules of paths that share their first `depth` components.
fn write_module(source: &mut String, paths: &[Vec<&str>], depth: usize) {
    let indent = "    ".repeat(depth);
    let (functions, modules): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.len() == depth + 1);
    let mut first = true;
    let mut gap = |source: &mut String| {
        if depth == 0 || !first {
            source.push('\n');
        }
        first = false;
    };
    for path in &functions {
        gap(source);
        let _ = write!(source, "{indent}#[test]\n{indent}fn {}() {{}}\n", path[depth]);
    }
    for group in modules.chunk_by(|a, b| a[depth] == b[depth]) {
        gap(source);
        let allow = if depth == 0 { "#[allow(non_snake_case)]\n" } else { "" };
        let _ = writeln!(source, "{allow}{indent}mod {} {{", group[0][depth]);
        write_module(source, group, depth + 1);
        let _ = writeln!(source, "{indent}}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_modules_and_files_functions() {
        let file = |rust_path: &str| TestFile {
            name: String::new(),
            rust_path: rust_path.into(),
            path: "".into(),
            root: "".into(),
            planned: None,
            excerpt: None,
            dialect: crate::dialect::Dialect::Classic,
            excluded: None,
        };
        let source = stubs(&[file("b::x::one_test"), file("b::two_slt"), file("three_test")]);
        let expected = "
#[test]
fn three_test() {}

#[allow(non_snake_case)]
mod b {
    #[test]
    fn two_slt() {}

    mod x {
        #[test]
        fn one_test() {}
    }
}
";
        assert_eq!(source, format!("{HEAD}{expected}"));
    }
}
