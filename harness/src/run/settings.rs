//! The settings on which the verdicts of a run depend, besides its files. They must be the same for all participants.

use std::fmt::Display;
use std::time::Duration;

use crate::config::{Config, Parallel, Repeat};
use crate::engine::Engine;
use crate::queue::{CHECK, REVIEW, REWRITES, Settings};
use crate::report::words::count;
use crate::suite::Suite;
use crate::trial::{Bless, How, Options};
use crate::worker::Policy;

/// The settings of a run, each with its flag or another name.
///
/// Settings that are not set are omitted. So are those that change no verdict: workers, order, budget, reports.
pub(super) fn settings(
    config: &Config,
    options: &Options,
    parallel: &Parallel,
    engine: &dyn Engine,
    suite: &Suite,
) -> Settings {
    // Names each field, so that an engineer who adds one must decide whether it belongs here.
    let Options {
        fail_fast,
        file_timeout,
        query_timeout,
        interrupts: _,
        allow_system,
        allow_env,
        memory_limit,
        keep_database: _,
        bless,
        whole_texts: _,
        returned: _,
        labels,
        max_records,
        lenient,
        tags,
        known,
        reference,
    } = options;
    let Policy { retries, crash_retries } = parallel.policy;
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Option<String>| {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    let engine = match &parallel.engine_version {
        Some(version) => format!("version {version}"),
        None => engine.identity(),
    };
    set("engine", Some(engine));
    set("slt-harness", Some(env!("CARGO_PKG_VERSION").to_owned()));
    // It changes no verdict, but it changes the results of each file.
    set("--reference", reference.as_ref().map(|reference| reference.name().to_owned()));
    set("--label", list(labels));
    set("--fail-fast", on(*fail_fast));
    set("--file-timeout", file_timeout.map(seconds));
    set("--query-timeout", query_timeout.map(seconds));
    set("--allow-system", on(*allow_system));
    set("--allow-env", on(*allow_env));
    set("--max-records", max_records.map(|most| most.to_string()));
    set("--lenient", on(*lenient));
    set("--select-tags", list(&tags.select.iter().map(|set| set.join(",")).collect::<Vec<_>>()));
    set("--skip-tags", list(&tags.skip.iter().map(|set| set.join(",")).collect::<Vec<_>>()));
    set("--memory-limit", memory_limit.map(|bytes| count(bytes, "byte")));
    set("--retries", more_than(retries, 0));
    set("--crash-retries", (crash_retries != 1).then(|| crash_retries.to_string()));
    set("--repeat", (parallel.repeat == Repeat::UntilBudget).then(|| "until-budget".to_owned()));
    set("--known-failures", known.as_ref().map(|judge| judge.list.digest()));
    set("--ratchet", on(config.known.ratchet));
    set("exclude", list(&suite.exclusions()));
    let stack = config.settings.as_ref().and_then(|settings| settings.stack_size());
    set("stack-size", stack.map(|bytes| count(bytes as u64, "byte")));
    config.own.iter().for_each(|(flag, value)| set(flag, Some(value.clone())));
    // Only `slt fill` uses `fill`, and that is no shared run.
    if let Some(Bless { how, errors, fill: _ }) = bless {
        let words = match how {
            How::Write => "on",
            How::Review => REVIEW,
            How::Check => CHECK,
        };
        set(REWRITES, Some(words.to_owned()));
        set("--bless-errors", on(*errors));
        if *how != How::Check {
            // With other roots, other files would be rewritten.
            let roots = suite.roots().iter().map(|root| root.canonicalize().unwrap_or_else(|_| root.clone()));
            set("--root", list(&roots.map(|root| root.display().to_string()).collect::<Vec<_>>()));
        }
    }
    settings
}

fn on(is_on: bool) -> Option<String> {
    is_on.then(|| "on".to_owned())
}

fn more_than(number: u32, usual: u32) -> Option<String> {
    (number > usual).then(|| number.to_string())
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// Names in any order, each once.
fn list<T: Display>(names: &[T]) -> Option<String> {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::engine::Choice;

    fn of(arguments: &[&str]) -> Settings {
        let arguments = ["slt", "--parallel"].iter().chain(arguments).map(OsString::from);
        let config = Config::from_command_line(arguments).unwrap();
        let engine = config.engine.clone().unwrap_or(Choice::Sqlite).engine().unwrap();
        let parallel = config.parallel.clone().unwrap();
        settings(&config, &config.options, &parallel, &*engine, &Suite::from_roots([std::env::temp_dir()]))
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn what_a_test_target_leaves_out_and_its_own_flags_count() {
        let arguments = ["slt", "--parallel"].map(OsString::from);
        let mut config = Config::from_command_line(arguments).unwrap();
        config.own = vec![("--include-tpch".to_owned(), "on".to_owned())];
        let suite = Suite::from_roots([std::env::temp_dir()]).exclude(["b/**", "a.slt"], "slow");
        let engine = Choice::Sqlite.engine().unwrap();
        let settings = settings(&config, &config.options, &config.parallel.clone().unwrap(), &*engine, &suite);
        assert_eq!((settings["exclude"].as_str(), settings["--include-tpch"].as_str()), ("a.slt, b/**", "on"));
        assert_eq!(settings.len(), of(&[]).len() + 2);
    }

    #[cfg(all(feature = "sqlite", feature = "external"))]
    #[test]
    fn every_setting_that_can_change_a_verdict_is_compared() {
        let plain = of(&[]);
        assert!(plain["engine"].starts_with("SQLite 3."), "{plain:?}");
        assert_eq!(plain.len(), 2);
        for (arguments, name, value) in [
            (&["--label", "b", "--label", "a", "--label", "b"][..], "--label", "a, b"),
            (&["--fail-fast"], "--fail-fast", "on"),
            (&["--file-timeout", "2.5"], "--file-timeout", "2.5 s"),
            (&["--query-timeout", "3"], "--query-timeout", "3 s"),
            (&["--allow-system"], "--allow-system", "on"),
            (&["--allow-env"], "--allow-env", "on"),
            (&["--workers", "2", "--memory-limit", "1K"], "--memory-limit", "1024 bytes"),
            (&["--retries", "2"], "--retries", "2"),
            (&["--crash-retries", "0"], "--crash-retries", "0"),
            (&["--repeat", "until-budget", "--time-budget", "9"], "--repeat", "until-budget"),
            (&["--bless=check"], "--bless", "check"),
            (&["--engine-version", "7"], "engine", "version 7"),
        ] {
            let settings = of(arguments);
            assert_eq!(settings.get(name).map(String::as_str), Some(value));
            let mut rest = settings.clone();
            rest.insert(name.to_owned(), String::new());
            let mut usual = plain.clone();
            usual.insert(name.to_owned(), String::new());
            assert_eq!(rest, usual);
        }
        assert!(of(&["--engine", "external:cat"])["engine"].contains("external driver"));
        let blessed = of(&["--bless", "--bless-errors"]);
        assert!(blessed["--bless"] == "on" && blessed["--bless-errors"] == "on" && blessed.contains_key("--root"));
    }

    #[test]
    fn settings_that_change_no_verdict_are_not_compared() {
        let others: [&[&str]; 5] = [
            &["--workers", "3", "--run-memory", "1G"],
            &["--time-budget", "9", "--allow-incomplete"],
            &["--seed", "7", "--report"],
            &["--resume", "--run-id", "x"],
            &["--keep-db-on-failure", "--quiet"],
        ];
        for arguments in others {
            assert_eq!(of(arguments), of(&[]));
        }
    }
}
