//! `action.yml`: the steps of the action run as GitHub runs them, in a small package.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use yaml_rust2::{Yaml, YamlLoader};

use crate::own_engine::{README, copy_versions, target_folder, write};
use crate::support::{FAILS, PASSES, Printed, command};

fn action() -> Yaml {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// The steps that run a script.
fn scripts(action: &Yaml) -> Vec<&Yaml> {
    let steps = action["runs"]["steps"].as_vec().unwrap();
    steps.iter().filter(|step| step["run"].as_str().is_some()).collect()
}

/// A program named `gh` that records its arguments and the body of a comment; it fails if there is a file `refuse`.
const GH: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$*\" >> calls\n[ -e refuse ] && exit 1\nfor word; do\n\
    case \"$word\" in body=@*) cp \"${word#body=@}\" body ;; esac\ndone\n\
    case \"$*\" in *--paginate*) [ -e body ] && echo 77 ;; esac\nexit 0\n";

/// A job that uses the action.
struct Job {
    root: PathBuf,
    folder: tempfile::TempDir,
    /// The values with which GitHub replaces expressions.
    values: HashMap<String, String>,
}

impl Job {
    /// In a package with one test target.
    fn new() -> Job {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("action");
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness");
        let manifest = format!(
            "[package]\nname = \"acted\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautotests = false\n\n[workspace]\n\n\
             [profile.dev]\ndebug = 0\n\n[dev-dependencies]\nslt-harness = {{ path = {library:?} }}\n\n[[test]]\nname = \"slt\"\nharness = false\n"
        );
        write(&root.join("Cargo.toml"), &manifest);
        write(&root.join("src/lib.rs"), "");
        write(&root.join("tests/slt.rs"), &README.source.replace("tests/readme", "tests/slt"));
        write(&root.join("tests/slt/a.test"), PASSES);
        write(&root.join("tests/slt/b.test"), PASSES);
        copy_versions(&root);
        let folder = tempfile::tempdir().unwrap();
        let gh = folder.path().join("gh");
        fs::write(&gh, GH).unwrap();
        fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
        let results = folder.path().join("results").display().to_string();
        let here = root.display().to_string();
        let values = [
            ("inputs.working-directory", here.as_str()),
            ("inputs.results", &results),
            ("inputs.test", "slt"),
            ("inputs.package", ""),
            ("inputs.cargo-args", "--offline"),
            ("inputs.args", "--workers 1"),
            ("inputs.slt", env!("CARGO_BIN_EXE_slt")),
            ("inputs.token", "token"),
            ("github.base_ref || github.event.repository.default_branch", "main"),
            ("github.head_ref || github.ref_name", "a,b"),
            ("github.event.pull_request.number", "5"),
            ("github.action_path", env!("CARGO_MANIFEST_DIR")),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Job { root, folder, values }
    }

    /// Replaces expressions; an unknown expression is a mistake in the action.
    fn replaced(&self, text: &str) -> String {
        let mut parts = text.split("${{ ");
        let mut replaced = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(" }}").unwrap();
            replaced.push_str(self.values.get(name).unwrap_or_else(|| panic!("nobody sets `{name}`")));
            replaced.push_str(rest);
        }
        replaced
    }

    /// Runs a step, and keeps the outputs and variables that it sets.
    fn step(&mut self, id: &str) -> Printed {
        let action = action();
        let step = scripts(&action).into_iter().find(|step| step["id"].as_str() == Some(id)).unwrap();
        let output = self.folder.path().join("output");
        fs::write(&output, "").unwrap();
        let mut bash = command("bash");
        // As GitHub starts `shell: bash`.
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        bash.env("PATH", path).env("GITHUB_OUTPUT", &output).env("GITHUB_REPOSITORY", "me/acted");
        bash.env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary.md"));
        bash.env("CARGO_TARGET_DIR", target_folder()).env_remove("SLT_RESULTS").current_dir(self.folder.path());
        if let Some(variables) = step["env"].as_hash() {
            for (name, value) in variables {
                bash.env(name.as_str().unwrap(), self.replaced(value.as_str().unwrap()));
            }
        }
        if let Some(folder) = step["working-directory"].as_str() {
            bash.current_dir(self.replaced(folder));
        }
        let printed = Printed::of(&mut bash);
        for line in fs::read_to_string(&output).unwrap().lines() {
            let (name, value) = line.split_once('=').unwrap();
            self.values.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
        }
        printed
    }

    fn set(&self, name: &str) -> &str {
        &self.values[name]
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

#[test]
fn every_script_of_the_action_is_valid_and_runs_no_foreign_text_as_code() {
    let action = action();
    assert_eq!(action["runs"]["using"].as_str(), Some("composite"));
    for step in action["runs"]["steps"].as_vec().unwrap() {
        assert_ne!(step["uses"].as_str().is_some(), step["run"].as_str().is_some(), "{step:?}");
    }
    for step in scripts(&action) {
        let script = step["run"].as_str().unwrap();
        assert_eq!(step["shell"].as_str(), Some("bash"));
        assert!(!script.contains("${{"), "an expression in a script is code: {script}");
        let output = Command::new("bash").args(["-n", "-c", script]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    // Each input is used, and docs/ci.md names it.
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).unwrap();
    for (name, _) in action["inputs"].as_hash().unwrap() {
        let name = name.as_str().unwrap();
        assert!(text.contains(&format!("inputs.{name}")), "`{name}` is not used");
        assert!(docs.contains(&format!("| `{name}` |")), "docs/ci.md does not name `{name}`");
    }
}

#[test]
fn the_action_runs_a_target_and_says_on_the_pull_request_what_broke() {
    let mut job = Job::new();
    assert_eq!(job.step("paths").code, 0);
    assert_eq!(
        (job.set("steps.paths.outputs.key"), job.set("steps.paths.outputs.base")),
        ("slt--slt-a_b-", "slt--slt-main-")
    );
    let printed = job.step("run");
    assert_eq!((printed.code, job.set("steps.run.outputs.exit-code")), (0, "0"), "{printed:?}");
    for name in ["results.json", "report.html", "junit.xml", "history.jsonl"] {
        assert!(job.folder.path().join("results").join(name).is_file(), "{name}");
    }
    assert!(job.read("summary.md").contains("all 2 files passed"));
    let printed = job.step("comment");
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(job.read("calls").contains("api --method POST repos/me/acted/issues/5/comments --field body=@"));
    let body = job.read("body");
    assert!(body.starts_with("<!-- slt  slt -->\n<pre>\npassed: 2 of 2 files") && !body.contains("Since"), "{body}");
    assert_eq!(job.step("end").code, 0);

    // The next run of the branch breaks a file; markup that the file's author has written is shown as text.
    fs::write(job.root.join("tests/slt/b.test"), FAILS.replace("SELECT 1", "SELECT </pre>@me")).unwrap();
    let printed = job.step("run");
    assert_eq!((printed.code, job.set("steps.run.outputs.exit-code")), (0, "101"), "{printed:?}");
    let printed = job.step("comment");
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(job.read("calls").contains("api --method PATCH repos/me/acted/issues/comments/77 --field body=@"));
    let body = job.read("body");
    assert!(body.contains("FAILED: 1 of 2 files") && body.contains("newly failing: 1 file\n  b.test"), "{body}");
    assert_eq!((body.matches("</pre>").count(), body.contains('@')), (1, false), "{body}");
    assert_eq!(job.step("end").code, 101);

    // A token that may not write, and a target that cannot be built, do not hide how the run ended.
    fs::write(job.folder.path().join("refuse"), "").unwrap();
    let printed = job.step("comment");
    assert!(printed.code == 0 && printed.out.starts_with("::notice::the comment"), "{printed:?}");
    fs::remove_file(job.folder.path().join("refuse")).unwrap();
    job.values.insert("inputs.test".to_owned(), "absent".to_owned());
    let printed = job.step("run");
    assert_eq!((printed.code, job.set("steps.run.outputs.exit-code")), (0, "101"), "{printed:?}");
    assert_eq!(job.step("comment").code, 0);
    assert!(job.read("body").contains("left no results"), "{}", job.read("body"));
}
