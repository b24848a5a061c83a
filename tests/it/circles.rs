//! Files of one module do not import each other in a circle.
//!
//! A file may import from the modules around it, and these from it: `queue/file.rs` and `queue.rs` do. But the files and
//! folders directly below one module have an order in which each imports only those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::tidy::{root, tracked};

/// A module's path below the crate: `["queue", "file"]`.
type Module = Vec<String>;

/// The modules of the crate with their text, without tests and comments.
fn modules() -> BTreeMap<Module, String> {
    let root = root().join("harness/src");
    let mut modules = BTreeMap::new();
    for path in tracked() {
        let name =
            path.strip_prefix(&root).ok().and_then(|path| path.to_str()).and_then(|name| name.strip_suffix(".rs"));
        let Some(name) = name else { continue };
        let module: Module = if name == "lib" { Module::new() } else { name.split('/').map(str::to_owned).collect() };
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\nmod tests {").next().unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
        modules.insert(module, code);
    }
    // Files for tests only: what they import is no part of the program.
    let mut test_only = BTreeSet::new();
    for (module, text) in &modules {
        for part in text.split("#[cfg(test)]\n").skip(1) {
            let declared =
                part.trim_start_matches("pub(super) ").strip_prefix("mod ").and_then(|rest| rest.split(';').next());
            test_only.extend(declared.map(|name| [module.clone(), vec![name.to_owned()]].concat()));
        }
    }
    modules.retain(|module, _| !test_only.iter().any(|only: &Module| module.starts_with(only)));
    modules
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().split_whitespace().collect()];
    };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in rest.trim_end().trim_end_matches('}').chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    // The closing brackets of inner groups have been trimmed, too, which makes no difference.
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{}{part}", head.trim()))).collect()
}

/// The trees of all `use` declarations in a text.
fn trees(text: &str) -> impl Iterator<Item = &str> {
    let starts =
        text.match_indices("use ").filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    starts.filter_map(|(at, word)| text[at + word.len()..].split(';').next())
}

/// A path as written in a module, from the crate's root.
fn absolute(module: &Module, path: &str) -> Module {
    let mut base = module.clone();
    let mut parts = path.split("::").peekable();
    while let Some(part) = parts.peek() {
        match *part {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        parts.next();
    }
    base.extend(parts.map(str::to_owned));
    base
}

/// The module in whose file the item at `path` is, as far as `use` declarations show.
fn home(modules: &BTreeMap<Module, String>, path: &[String], depth: u32) -> Option<Module> {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = path[..length].to_vec();
    let Some(item) = path.get(length).filter(|_| depth < 8) else { return Some(module) };
    let imported = trees(&modules[&module]).flat_map(expand).find(|tree| tree.rsplit("::").next() == Some(item));
    let imported = imported.map(|tree| absolute(&module, &tree)).filter(|other| other != path);
    imported.and_then(|other| home(modules, &other, depth + 1)).or(Some(module))
}

/// Every path that a module's text uses.
fn paths(text: &str) -> Vec<String> {
    let mut paths: Vec<String> = trees(text).flat_map(expand).collect();
    for word in ["crate::", "super::"] {
        for (at, _) in text.match_indices(word) {
            paths.push(text[at..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect());
        }
    }
    paths
}

#[test]
fn files_of_a_module_import_each_other_in_no_circle() {
    let modules = modules();
    assert!(modules.len() > 200, "{} modules", modules.len());
    // For each module: which of its parts imports which other part.
    let mut imports: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, text) in &modules {
        for path in paths(text) {
            let Some(other) = home(&modules, &absolute(module, &path), 0) else { continue };
            let common = module.iter().zip(&other).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (module.get(common), other.get(common)) {
                let parts = imports.entry(module[..common].to_vec()).or_default();
                parts.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, parts) in &imports {
        let reaches_itself = |part: &&String| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![*part]);
            while let Some(next) = open.pop() {
                open.extend(parts.get(next).into_iter().flatten().filter(|other| seen.insert(*other)));
            }
            seen.contains(*part)
        };
        let circle: Vec<String> = parts.keys().filter(reaches_itself).cloned().collect();
        if !circle.is_empty() {
            found.insert(module.join("/"), circle);
        }
    }
    assert!(found.is_empty(), "these files import each other in a circle: {found:?}");
}
