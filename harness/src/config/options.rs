//! Checks `docs/options.md`, which is generated from the flags.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Args, Command};

use super::Flags;
use super::headings::{EXPECTED, HOW, OUTPUT, SETTINGS, WHICH};
use super::parallel::PARALLEL;
use crate::environment::VARIABLES;

const HEAD: &str = "\
# Options

The flags of a test target (`cargo test --test slt -- FLAGS`) and of `slt run`. Each has a variable, for runners that do
not pass flags on; a flag overrides its variable. A switch is on for every value of its variable but an empty one, `0`,
`no`, `false` and `off`.

libtest's flags work too: several filters, `--exact`, `--skip`, `--list`, `--ignored`, `--include-ignored`,
`--test-threads`, `--format pretty|terse|json`, `--report-time`, `--shuffle`, `--shuffle-seed`, `--logfile`, `--color`,
`--quiet` (`SLT_QUIET`), `--nocapture` and `-Z unstable-options`, and the variables `RUST_TEST_THREADS`,
`RUST_TEST_SHUFFLE` and `RUST_TEST_SHUFFLE_SEED`. `SLT_QUERY_TIMEOUT_MS` is `--query-timeout` in milliseconds.

A file can hold settings under both: [settings.md](settings.md), which also has the flags `--profile` and `--show-config`.
A target can set defaults in code (`Target`) and take flags of its own: [engines.md](engines.md).

This page is made of the flags by `SLT_TEST_UPDATE=1 cargo test --lib options`.
";

/// The page or section that explains each of these flags in detail.
const PAGES: &[(&str, &str)] = &[
    ("bless", "bless.md"),
    ("dialect", "format.md"),
    ("engine", "engines.md"),
    ("engine-version", "parallel.md#who-may-take-part"),
    ("known-failures", "known.md"),
    ("lenient", "format.md"),
    ("parallel", "parallel.md"),
    ("profile", "settings.md"),
    ("reference", "compare.md"),
    ("report", "results.md"),
    ("results", "results.md#where"),
    ("shard", "parallel.md#machines-that-share-nothing"),
];

fn page() -> String {
    let command = Flags::augment_args(Command::new("slt"));
    let flags: Vec<&Arg> = command.get_arguments().filter(|arg| arg.get_env().is_some()).collect();
    let headings = [WHICH, HOW, EXPECTED, PARALLEL, OUTPUT, SETTINGS];
    assert!(flags.iter().all(|arg| arg.is_hide_set() || arg.get_help_heading().is_some_and(|h| headings.contains(&h))));
    let mut page = format!("{HEAD}\n{}", earlier_names());
    for heading in headings {
        let _ = write!(page, "\n## {heading}\n\n| flag | variable | |\n|---|---|---|\n");
        for flag in flags.iter().filter(|flag| flag.get_help_heading() == Some(heading) && !flag.is_hide_set()) {
            page.push_str(&row(flag));
        }
    }
    page
}

/// The section about the earlier names of variables.
fn earlier_names() -> String {
    let listed = |names: Vec<String>| names.join(", ");
    let regular = |name: &str| name.replacen("SLT_", "SQLLOGICTEST_", 1);
    let named = VARIABLES.iter().filter_map(|(name, earlier)| Some((name, (*earlier)?)));
    let odd = named.filter(|(name, earlier)| regular(name) != *earlier);
    let odd = listed(odd.map(|(name, earlier)| format!("`{earlier}` for `{name}`")).collect());
    let none = VARIABLES.iter().filter(|(_, earlier)| earlier.is_none());
    let none = listed(none.map(|(name, _)| format!("`{name}`")).collect());
    format!(
        "The variables had other names before, which still work: `SQLLOGICTEST_…` for `SLT_…`, and {odd}. {none} had no other. \
         If both names are set, and to different values, that is an error. A variable whose name differs from \
         these by one letter has no effect, and a warning says so.\n"
    )
}

fn row(flag: &Arg) -> String {
    let long = flag.get_long().expect("a flag with a variable has a name");
    let value = match flag.get_value_names() {
        Some([name, ..]) if flag.get_action().takes_values() => match flag.get_num_args() {
            Some(count) if count.min_values() == 0 && flag.is_require_equals_set() => format!("[={name}]"),
            Some(count) if count.min_values() == 0 => format!(" [{name}]"),
            _ => format!(" {name}"),
        },
        _ => String::new(),
    };
    let mut names = format!("`--{long}{value}`");
    for alias in flag.get_visible_aliases().unwrap_or_default() {
        let _ = write!(names, ", `--{alias}`");
    }
    let variable = flag.get_env().unwrap_or_default().to_string_lossy();
    let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let more = PAGES.iter().find(|(name, _)| *name == long);
    let more = more.map(|(_, to)| format!(": [{}]({to})", to.split('#').next().unwrap_or(to))).unwrap_or_default();
    format!("| {names} | `{variable}` | {help}{more} |\n")
}

#[test]
fn the_page_of_options_matches_the_flags() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
    // The unit tests have one more dialect.
    let page = page().replace("`classic`, `slt`, `duckdb` or `trivial`", "`classic`, `slt` or `duckdb`");
    if std::env::var_os("SLT_TEST_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == written,
        "docs/options.md is not what the flags say: `SLT_TEST_UPDATE=1 cargo test --lib options` writes it"
    );
    for (name, _) in PAGES {
        assert!(page.contains(&format!("`--{name}")), "{name}");
    }
}

#[test]
fn every_variable_of_a_flag_is_in_the_table_of_variables() {
    let command = Flags::augment_args(Command::new("slt"));
    let of_flags: Vec<String> =
        command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())).collect();
    let by_hand = ["SLT_QUIET"];
    for (name, earlier) in VARIABLES {
        assert!(of_flags.iter().any(|flag| flag == name) || by_hand.contains(name), "{name} has no flag");
        assert!(earlier.is_none_or(|earlier| earlier.starts_with("SQLLOGICTEST_")), "{name}");
    }
    for flag in of_flags {
        assert!(VARIABLES.iter().any(|(name, _)| *name == flag), "{flag} is not in the table");
    }
}
