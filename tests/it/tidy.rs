//! Rules for the source itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that git tracks; none outside a checkout, such as in a package.
pub fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let names = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    names.split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).filter(|p| p.is_file()).collect()
}

#[test]
fn a_module_imports_only_modules_above_it() {
    let source = root().join("harness/src");
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")));
    let order: Vec<&str> = declared.map(|name| name.trim_end_matches(';')).collect();
    assert!(order.len() > 10, "{order:?}");
    let mut wrong = Vec::new();
    for path in tracked().iter().filter(|path| path.starts_with(&source) && path.extension().is_some_and(|e| e == "rs"))
    {
        let relative = path.strip_prefix(&source).unwrap();
        let top = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = order.iter().position(|name| *name == top) else { continue };
        let text = fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for (at, _) in line.match_indices("crate::") {
                let name: String = line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if order.iter().position(|module| *module == name).is_some_and(|other| other > own) {
                    wrong.push(format!(
                        "{}:{}: `{top}` imports `{name}`, which is below it",
                        relative.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules that are compiled for tests only, as paths without `.rs`.
fn modules_of_tests(sources: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for (path, text) in sources {
        let folder = match path.file_name().unwrap().to_str().unwrap() {
            "lib.rs" | "main.rs" => path.parent().unwrap().to_path_buf(),
            _ => path.with_extension(""),
        };
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| is_for_tests(pair[0])) {
            let name = pair[1].strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            modules.extend(name.map(|name| folder.join(name)));
        }
    }
    modules
}

fn is_for_tests(attribute: &str) -> bool {
    attribute.starts_with("#[cfg(test") || attribute.starts_with("#[cfg(all(test")
}

#[test]
fn only_the_dialects_know_which_dialect_is_which() {
    let source = root().join("harness/src");
    let registry = fs::read_to_string(source.join("dialect.rs")).unwrap();
    let entries = registry.split("registry! {").nth(1).unwrap().split("\n}").next().unwrap();
    let entries: Vec<(&str, &str)> = entries.lines().filter_map(|line| line.trim().split_once(" => ")).collect();
    assert!(entries.len() > 3, "{entries:?}");
    let mut names = vec!["Dialect::{".to_owned(), "Dialect::*".to_owned()];
    for (name, definition) in entries {
        names.push(format!("Dialect::{name}"));
        names.push(format!("dialect::{}", definition.split("::").next().unwrap()));
    }
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let ours = [source.clone(), root().join("src")];
    let sources: Vec<(PathBuf, String)> = tracked()
        .into_iter()
        .filter(|path| rust(path) && ours.iter().any(|ours| path.starts_with(ours)))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    let tests = modules_of_tests(&sources);
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for (path, text) in &sources {
        let module = path.with_extension("");
        if module.starts_with(source.join("dialect")) || tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        looked_at += 1;
        let lines: Vec<&str> = text.lines().collect();
        let starts = |at: usize| is_for_tests(lines[at]) && lines.get(at + 1).is_some_and(|next| next.ends_with('{'));
        let end = (0..lines.len()).find(|at| starts(*at)).unwrap_or(lines.len());
        for (number, line) in (1..).zip(&lines[..end]).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for name in names.iter().filter(|name| line.contains(name.as_str())) {
                wrong.push(format!("{}:{number}: names `{name}`: ask its definition instead", path.display()));
            }
        }
    }
    assert!(looked_at > 150 && tests.len() > 10, "{looked_at} files, {} modules of tests", tests.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_is_short() {
    let code = |path: &&PathBuf| path.extension().is_some_and(|e| e == "rs" || e == "py" || e == "sh");
    for path in tracked().iter().filter(code).filter(|path| !path.ends_with("tests/slt/stubs.rs")) {
        let lines = fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 500, "{}: {lines} lines", path.display());
    }
}

#[test]
fn no_path_of_this_machine_is_in_the_project() {
    let home = std::env::var("HOME").unwrap_or_default();
    let own = format!("{}/", root().display());
    for path in tracked() {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(&own), "{} holds {own}", path.display());
        // A short home such as `/root` or `/` may occur in a text by chance.
        assert!(home.len() < 8 || !text.contains(&format!("{home}/")), "{} holds {home}", path.display());
    }
}

#[test]
fn the_page_of_options_lists_every_variable() {
    let page = fs::read_to_string(root().join("docs/options.md")).unwrap();
    let mut variables = 0;
    for name in ["flags.rs", "parallel.rs"] {
        let source = fs::read_to_string(root().join("harness/src/config").join(name)).unwrap();
        for part in source.split("env = \"").skip(1) {
            let variable = part.split('"').next().unwrap();
            assert!(page.contains(&format!("`{variable}`")), "docs/options.md does not name {variable}");
            variables += 1;
        }
    }
    assert!(variables > 15, "{variables} variables");
}

#[test]
fn the_walk_in_the_architecture_is_that_of_the_code() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let walk = page.split("## From the command line to a verdict").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut files = std::collections::BTreeSet::new();
    let mut functions = 0;
    for line in walk.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let mut names = line.split('`').skip(1).step_by(2);
        let (function, file) = (names.next().unwrap(), names.next().unwrap());
        let text = fs::read_to_string(root().join("harness/src").join(file)).unwrap_or_default();
        let is_there = ["(", "<"].iter().any(|next| text.contains(&format!("fn {function}{next}")));
        assert!(is_there, "{file} has no function `{function}`");
        files.insert(file);
        functions += 1;
    }
    assert!((10..=15).contains(&functions) && files.len() <= 12, "{functions} functions in {} files", files.len());
}
