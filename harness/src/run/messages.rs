//! Messages after a run: what was slow, what was written; and the command that runs a file again.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

use super::folder::test_binary;
use crate::config::Config;
use crate::outcome::{Outcome, Results};
use crate::report::files::Written;
use crate::report::words::{quoted, time};
use crate::trial::{Options, Reference};

/// How many of the slowest files are listed.
const SLOWEST: usize = 5;

/// The closing messages of a run, of `slt` or of a test target; empty if there are none.
pub(super) fn words(slt: bool, results: &Results, written: &Written) -> String {
    let mut text = String::new();
    if slt {
        text.push_str(&slowest(results));
    }
    if !written.files.is_empty() {
        let files = written.files.iter().map(|file| format!("  {}", file.display()));
        let files: Vec<String> = files.collect();
        let _ = match slt {
            true => writeln!(text, "written:\n{}", files.join("\n")),
            false => writeln!(text, "results:{}", &files[0][1..]),
        };
        let page = written.files.iter().find(|file| file.extension().is_some_and(|kind| kind == "html"));
        if let (Some(page), false) = (page, slt) {
            let _ = writeln!(text, "page: {}", page.display());
        }
    }
    text
}

fn slowest(results: &Results) -> String {
    let mut outcomes: Vec<&Outcome> = results.outcomes.iter().filter(|outcome| outcome.wall_us > 0).collect();
    if outcomes.len() <= SLOWEST {
        return String::new();
    }
    outcomes.sort_by_key(|outcome| (std::cmp::Reverse(outcome.wall_us), &outcome.name));
    let mut text = "slowest files:\n".to_owned();
    for outcome in &outcomes[..SLOWEST] {
        let _ = writeln!(text, "{:>12}  {}", time(outcome.wall()), outcome.name);
    }
    text
}

/// The command that reruns one of these files, up to its name, and what the user must add to it by hand; usually nothing.
pub(super) fn rerun_command(config: &Config, options: &Options) -> (String, &'static str) {
    let mut command = match &config.handed_over {
        Some(command) => command.clone(),
        None if config.slt => format!("{} run", program()),
        None => {
            let program = env::args_os().next().unwrap_or_default();
            cargo_test(Path::new(&program)).unwrap_or_else(|| quoted(&program.to_string_lossy()))
        }
    };
    // The command repeats everything that decides whether a record passes and that a flag or variable has set. The settings
    // file and the target's code apply again without that.
    let typed = |key: &str| config.in_force.is_typed(key);
    if let Some(profile) = config.settings.as_ref().and_then(|settings| settings.named_profile()) {
        let _ = write!(command, " --profile {}", quoted(profile));
    }
    for root in config.roots.iter().flatten() {
        let _ = write!(command, " --root {}", quoted(&root.to_string_lossy()));
    }
    if let Some(dialect) = config.dialect {
        let _ = write!(command, " --dialect {}", dialect.name());
    }
    if let Some(list) = config.known.list.as_ref().filter(|_| typed("known-failures") && options.known.is_some()) {
        let _ = write!(command, " --known-failures {}", quoted(&list.to_string_lossy()));
    }
    let mut by_hand = "";
    if let Some(engine) = config.engine.as_ref().filter(|_| typed("engine")) {
        let shown = engine.to_string();
        // A password must not be shown. If the variable holds it, the variable still does when the user runs the command.
        if shown == engine.secret() {
            let _ = write!(command, " --engine {}", quoted(&shown));
        } else if !config.in_force.is_in_variable("engine") {
            by_hand = "with the same `--engine`";
        }
    }
    for label in options.labels.iter().filter(|_| typed("labels")) {
        let _ = write!(command, " --label {}", quoted(label));
    }
    let limits = [("--file-timeout", options.file_timeout), ("--query-timeout", options.query_timeout)];
    for (flag, limit) in limits {
        if let Some(limit) = limit.filter(|_| typed(&flag[2..])) {
            let _ = write!(command, " {flag} {}", limit.as_secs_f64());
        }
    }
    if let Some(most) = options.max_records.filter(|_| typed("max-records")) {
        let _ = write!(command, " --max-records {most}");
    }
    for (flag, sets) in [("--select-tags", &options.tags.select), ("--skip-tags", &options.tags.skip)] {
        for set in sets.iter().filter(|_| typed(&flag[2..])) {
            let _ = write!(command, " {flag} {}", quoted(&set.join(",")));
        }
    }
    let switches =
        [("--allow-system", options.allow_system), ("--allow-env", options.allow_env), ("--lenient", options.lenient)];
    for (flag, chosen) in switches {
        if chosen && typed(&flag[2..]) {
            let _ = write!(command, " {flag}");
        }
    }
    command.push_str(" --exact");
    (command, by_hand)
}

/// A message on what can be compared with the results of another run.
pub(crate) fn recorded(reference: &Reference) -> String {
    format!(
        "comparing with what {} has recorded: which records failed there, and what the first failures of each file returned",
        reference.name()
    )
}

/// The command `slt` as the user typed it.
pub(crate) fn program() -> String {
    let program = env::args_os().next().unwrap_or_default();
    match env::var_os("SLT_PROGRAM") {
        Some(script) => quoted(&script.to_string_lossy()),
        None if Path::new(&program).file_stem() == Some(OsStr::new("cargo-slt")) => "cargo slt".to_owned(),
        None => quoted(&program.to_string_lossy()),
    }
}

/// The cargo command that started this test target; `None` if cargo did not.
fn cargo_test(program: &Path) -> Option<String> {
    env::var_os("CARGO")?;
    let package = env::var("CARGO_PKG_NAME").ok()?;
    cargo_command(&package, program)
}

/// `cargo test` for the target that cargo has built as `program`: `target/PROFILE/deps/TARGET-HASH`.
fn cargo_command(package: &str, program: &Path) -> Option<String> {
    let (profile, target) = test_binary(program)?;
    let profile = match profile.file_name().and_then(OsStr::to_str)? {
        "debug" => String::new(),
        "release" => " --release".to_owned(),
        other => format!(" --profile {}", quoted(other)),
    };
    // A hyphen in a target's name is an underscore in its file's name; as a pattern, cargo accepts `?` for either.
    let target = target.replace('_', "?");
    Some(format!("cargo test{profile} -p {} --test {} --", quoted(package), quoted(&target)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    #[test]
    fn the_command_is_the_one_that_was_typed() {
        let command = |path: &str| cargo_command("my-engine", Path::new(path));
        let debug = "cargo test -p my-engine --test slt --";
        assert_eq!(command("/w/target/debug/deps/slt-0123456789abcdef").as_deref(), Some(debug));
        let release = "cargo test --release -p my-engine --test 'my?slt' --";
        assert_eq!(command("/w/target/release/deps/my_slt-0123456789abcdef").as_deref(), Some(release));
        let profile = "cargo test --profile ci -p my-engine --test slt --";
        assert_eq!(command("/w/target/ci/deps/slt-0123456789abcdef").as_deref(), Some(profile));
        assert_eq!(command("/usr/bin/slt"), None);
        assert_eq!(command("/w/target/debug/deps/slt"), None);
    }

    #[test]
    fn the_closing_words_of_a_run() {
        let outcome =
            |(name, verdict, wall_us): (&str, Verdict, u64)| Outcome { wall_us, ..Outcome::new(name, verdict) };
        let outcomes = [
            ("a b/1.test", Verdict::Failed, 1_250_000),
            ("a/2.test", Verdict::TimedOut { limit_ms: 9_000 }, 9_000_500),
            ("a/3.test", Verdict::Passed, 20_000),
            ("b/4.test", Verdict::Passed, 30_000),
            ("b/5.test", Verdict::KnownFailure { reason: "r".into(), was: "FAILED".into() }, 40_000),
            ("b/6.test", Verdict::Passed, 10_000),
            ("b/7.test", Verdict::NotRun { reason: "time budget".into() }, 0),
        ];
        let outcomes = outcomes.map(outcome).into();
        let results = Results { outcomes, again: "./slt run --exact".into(), ..Results::default() };
        let files = ["results.json", "junit.xml", "report.html"].map(|name| Path::new("out").join(name));
        let written = Written { files: files.into(), complaints: Vec::new() };
        insta::assert_snapshot!("slt", words(true, &results, &written));
        insta::assert_snapshot!("cargo", words(false, &results, &written));
        assert_eq!(words(false, &Results::default(), &Written::default()), "");
    }
}
