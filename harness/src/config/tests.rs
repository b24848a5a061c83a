//! Tests of command lines as users type them.

use clap::{Args, Command};

use super::*;

fn config(arguments: &[&str]) -> Result<Config, String> {
    let arguments = ["slt"].iter().chain(arguments).map(OsString::from);
    Config::from_command_line(arguments).map_err(|error| error.to_string())
}

#[test]
fn what_libtests_users_type_is_understood() {
    let line = "a b --skip c --exact --test-threads 3 --nocapture --no-capture --report-time --logfile x \
                -Z unstable-options --format json --include-ignored --show-output --color never --shuffle-seed 7";
    let config = config(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert_eq!(config.filter.patterns, ["a", "b"]);
    assert_eq!(config.filter.skips, ["c"]);
    assert!(config.filter.exact && config.report_time && !config.only_ignored && !config.list);
    assert_eq!((config.threads, config.format, config.shuffle), (3, Some(Format::Json), Some(7)));
    assert_eq!(config.color, ColorSetting::Never);
}

#[test]
fn engines_are_chosen_and_their_secrets_kept() {
    let chosen = config(&["--engine", "postgres://me:hunter2@h/db", "--keep-db-on-failure"]).unwrap();
    assert!(!format!("{chosen:?}").contains("hunter2") && chosen.options.keep_database);
    assert_eq!(chosen.engine.unwrap().to_string(), "postgres://me@h/db");
    let complaint = config(&["--engine", "oracle://me:hunter2@h/db"]).unwrap_err();
    assert!(complaint.contains("`--engine` (or `SLT_ENGINE`): no such engine"), "{complaint}");
    assert!(!complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn no_other_process_is_given_a_secret_as_an_argument() {
    for (typed, passed_on) in [
        ("a --engine x b", "a b"),
        ("a --queue x --queue=y b", "a b"),
        ("--engine=x b", "b"),
        ("a --engine", "a"),
        ("--engines -- --engine x", "--engines -- --engine x"),
    ] {
        let rest = without_secrets(typed.split(' ').map(OsString::from));
        assert_eq!(rest, passed_on.split(' ').map(OsString::from).collect::<Vec<_>>());
    }
}

#[cfg(feature = "postgres-queue")]
#[test]
fn a_queue_on_a_server_needs_a_run_id_and_its_password_is_kept() {
    let queue = ["--parallel", "--queue", "postgres://me:hunter2@h/db"];
    let complaint = config(&queue).unwrap_err();
    assert!(complaint.contains("it needs `--run-id`") && !complaint.contains("hunter2"), "{complaint}");
    let chosen = config(&[&queue[..], &["--run-id", "one", "--keep-runs", "3"]].concat()).unwrap();
    assert!(!format!("{chosen:?}").contains("hunter2"));
    let parallel = chosen.parallel.unwrap();
    assert_eq!((parallel.queue.unwrap().to_string(), parallel.keep_runs), ("postgres://me@h/db".to_owned(), 3));
    let complaint = config(&["--parallel", "--queue", "oracle://me:hunter2@h"]).unwrap_err();
    assert!(complaint.contains("`--queue` (or `SLT_QUEUE`): no such queue"), "{complaint}");
    assert!(!complaint.contains("hunter2"), "{complaint}");
    let complaint = config(&[&queue[..], &["--run-id", "one", "--bless"]].concat()).unwrap_err();
    assert!(complaint.contains("`--bless` rewrites files of this machine"), "{complaint}");
}

#[test]
fn what_cannot_be_used_is_named() {
    for (arguments, words) in [
        (&["--test-threads", "0"][..], "'0' for '--test-threads <N>': needs a whole number of at least 1"),
        (&["--retries", "-1"], "'-1' for '--retries <N>': needs a whole number of at least 0"),
        (&["--max-records", "0"], "'0' for '--max-records <N>': needs a whole number of at least 1"),
        (&["--shuffle-seed", "x"], "'x' for '--shuffle-seed <SEED>': needs a whole number of at least 0"),
        (&["--frobnicate"], "'--frobnicate'"),
        (&["--format", "junit"], "possible values: pretty, terse, json"),
        (&["--file-timeout", "abc"], "'abc' for '--file-timeout <SECS>': not a number of seconds"),
        (&["--file-timeout", "0"], "must be more than 0"),
        (&["--shard", "0/3"], "'0/3' for '--shard <K/N>': there is no shard 0 of 3"),
        (&["--shard", "4/3"], "'4/3' for '--shard <K/N>': there is no shard 4 of 3"),
        (&["--shard", "x"], "'x' for '--shard <K/N>': not a shard such as `2/4`"),
        (&["--shard-history", "x"], "it needs `--shard`"),
        (&["--shard", "1/2", "--exact", "x"], "it cannot be used with `--shard`"),
        (&["--file-timeout=-1"], "not a possible time"),
        (&["--query-timeout-ms", "0"], "must be more than 0"),
        (&["--query-timeout-ms", "1.5"], "not a number of milliseconds"),
    ] {
        let message = config(arguments).unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_limit_in_milliseconds_gives_way_to_one_in_seconds() {
    let limit = |arguments: &[&str]| config(arguments).unwrap().options.query_timeout;
    assert_eq!(limit(&["--query-timeout-ms", "1500"]), Some(Duration::from_millis(1500)));
    assert_eq!(limit(&["--query-timeout-ms", "1500", "--query-timeout", "2"]), Some(Duration::from_secs(2)));
}

#[test]
fn flags_are_consistent() {
    Flags::augment_args(Command::new("slt")).debug_assert();
}

#[test]
fn a_typed_flag_of_parallel_runs_makes_the_run_parallel() {
    let parallel = |arguments: &[&str]| config(arguments).unwrap().parallel;
    assert!(parallel(&[]).is_none());
    for arguments in [["--time-budget", "5"], ["--retries", "1"], ["--crash-retries", "0"], ["--repeat", "2"]] {
        assert_eq!(parallel(&arguments).unwrap().workers, Some(cores()), "{arguments:?}");
    }
    assert_eq!(parallel(&["--seed", "3", "--workers", "5"]).unwrap().workers, Some(5));
    assert_eq!(parallel(&["--memory-limit", "1G"]).unwrap().workers, Some(cores()));
    assert_eq!(parallel(&["--run-memory", "1G"]).unwrap().workers, Some(cores()));
    assert_eq!(parallel(&["--parallel", "--run-memory", "1K"]).unwrap().run_memory, Some(1024));
    // A process that a user starts to join others runs files itself.
    for arguments in [&["--run-id", "x"][..], &["--resume"], &["--queue", "q", "--time-budget", "5"], &["--parallel"]] {
        assert_eq!(parallel(arguments).unwrap().workers, None, "{arguments:?}");
    }
    assert!(parallel(&["--workers", "2", "--list"]).is_none());
    for (arguments, words) in [
        (&["--keep-runs", "3"][..], "`--keep-runs` is for parallel runs: it needs `--parallel`"),
        (&["--engine-version", "3"], "it needs `--parallel`"),
        (&["--allow-incomplete"], "it needs `--parallel`"),
        (&["--parallel", "--memory-limit", "1G"], "it needs `--workers`"),
        (&["--repeat", "until-budget"], "needs `--time-budget`"),
    ] {
        let message = config(arguments).unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn the_short_help_has_the_usual_flags_and_the_long_one_all_that_have_an_effect() {
    let help = |flag: &str| config(&[flag]).unwrap_err();
    let (short, long) = (help("-h"), help("--help"));
    for shown in ["--root", "--engine", "--workers", "--profile", "`--help` shows all flags"] {
        assert!(short.contains(shown), "{shown}: {short}");
    }
    for (left_out, words) in
        [("--crash-retries", "Run a file again whose process crashed"), ("--logfile", "Exit codes: 0")]
    {
        assert!(!short.contains(left_out) && long.contains(left_out) && long.contains(words), "{left_out}");
    }
    for hidden in
        ["--nocapture", "--no-capture", "--include-ignored", "--bench", "  --test ", "-Z", "By default, all tests"]
    {
        assert!(!short.contains(hidden) && !long.contains(hidden), "{hidden}");
    }
    let headings = [
        "Which files:",
        "How files are run:",
        "What is expected:",
        "Parallel runs:",
        "Output and results:",
        "Settings:",
    ];
    let at =
        headings.map(|heading| long.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}: {long}")));
    assert!(at.is_sorted(), "{long}");
}
