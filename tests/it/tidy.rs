//! Rules for the source itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that git tracks; none outside a checkout, such as in a package.
fn tracked() -> Vec<PathBuf> {
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
                        "{}:{}: `{top}` imports `{name}`, which stands below it",
                        relative.display(),
                        number + 1
                    ));
                }
            }
        }
    }
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
