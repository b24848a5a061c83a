//! The scripts that run the bundled corpus over several processes, as users run them.

use std::path::Path;

use crate::faulty_support::{Ended, Place, clean};

/// Runs a script of this package, with its own results folder.
fn run(program: &str, script: &str, arguments: &str, variables: &[(&str, &str)]) -> Ended {
    let place = Place::with_many(0, "");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = place.dress(clean(program));
    command.arg(package.join(script)).args(arguments.split_whitespace()).arg("--results").arg(place.path("results"));
    command.envs(variables.iter().copied());
    let ended = place.start_command(command).wait();
    assert_eq!(place.alive(), Vec::<String>::new(), "processes stay behind");
    ended
}

#[test]
fn the_python_script_runs_the_corpus_over_two_workers() {
    let ended = run("python3", "scripts/run_parallel_tests.py", "--debug --workers 2", &[]).exits(0);
    assert!(ended.verdicts().len() > 30, "{ended}");
    ended.says("test result: ok. ");
}

#[test]
fn the_python_script_passes_a_usage_error_on() {
    run("python3", "scripts/run_parallel_tests.py", "--debug --workers 2 no-such-file -- --exact", &[]).exits(2);
}

#[test]
fn the_shell_script_runs_the_corpus_over_two_workers() {
    // A separate build, with fewer features than a test target needs, would take minutes on a fresh checkout.
    let built = [("SLT_BIN", env!("CARGO_BIN_EXE_slt"))];
    let ended = run("sh", "scripts/sqllogictest", "run --parallel --workers 2 --time 300", &built).exits(0);
    assert!(ended.verdicts().len() > 30, "{ended}");
    ended.says("test result: ok. ");
}
