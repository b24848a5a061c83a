//! Copies the files of DataFusion's suite out of its published package, which cargo has downloaded: they write beside
//! themselves. Names the copy in `SUITE`, and DataFusion's own runner in `OWN_RUNNER`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => fs::copy(entry.path(), to).map(drop)?,
        }
    }
    Ok(())
}

fn main() {
    let output = Command::new(env::var("CARGO").unwrap())
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .expect("cargo metadata starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("the packages");
    let package = packages.iter().find(|p| p["name"] == "datafusion-sqllogictest").expect("a dependency");
    let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
    let package = manifest.parent().expect("a folder");

    let suite = PathBuf::from(env::var("OUT_DIR").unwrap()).join("suite");
    for folder in ["test_files", "data"] {
        copy(&package.join(folder), &suite.join(folder)).expect("the suite can be copied");
    }
    println!("cargo::rustc-env=SUITE={}", suite.display());
    println!("cargo::rustc-env=OWN_RUNNER={}", package.join("bin/sqllogictests.rs").display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
}
