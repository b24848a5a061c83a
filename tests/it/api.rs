//! The documentation has no errors, and the public items that it lists are those in `api.txt`.
//! `SLT_TEST_UPDATE=1 cargo test --test it api:: -- --ignored` writes that list again.

use std::fs;
use std::path::Path;

use regex::Regex;

use crate::support::{Printed, command};

#[test]
#[ignore = "it checks all dependencies a second time, which takes a minute; `.ci/run` runs it"]
fn the_public_items_of_the_library_are_these() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut doc = command(env!("CARGO"));
    doc.args(["doc", "--quiet", "--locked", "--no-deps", "--workspace", "--all-features"]);
    doc.env("CARGO_TARGET_DIR", target).env("RUSTDOCFLAGS", "-D warnings").current_dir(env!("CARGO_MANIFEST_DIR"));
    let printed = Printed::of(&mut doc);
    assert_eq!(printed.code, 0, "{printed:?}");
    let page = fs::read_to_string(target.join("doc/slt_harness/all.html")).unwrap();
    let item = Regex::new(r#"<li><a href="([a-z/_]*)([a-z]+)\.(\w+)\.html">"#).unwrap();
    let mut items: Vec<String> =
        item.captures_iter(&page).map(|found| format!("{} {}{}\n", &found[2], &found[1], &found[3])).collect();
    items.sort();
    assert!(items.len() <= 40, "more than 40 public items:\n{}", items.concat());
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/api.txt");
    if std::env::var_os("SLT_TEST_UPDATE").is_some() {
        fs::write(&list, items.concat()).unwrap();
    }
    assert_eq!(items.concat(), fs::read_to_string(&list).unwrap());
}

#[test]
fn both_packages_can_be_published() {
    let mut publish = command(env!("CARGO"));
    publish.args(["package", "--workspace", "--no-verify", "--locked", "--allow-dirty"]);
    publish.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("package"));
    publish.current_dir(env!("CARGO_MANIFEST_DIR"));
    let printed = Printed::of(&mut publish);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(!printed.err.contains("warning"), "{printed:?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package/package");
    for package in ["slt-0.1.0", "slt-harness-0.1.0"] {
        let files = Printed::of(command("tar").arg("-tzf").arg(folder.join(format!("{package}.crate")))).out;
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(files.contains(&format!("{package}/{file}\n")), "{package} has no {file}: {files}");
        }
    }
}
