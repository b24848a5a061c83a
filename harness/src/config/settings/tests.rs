use super::*;
use crate::config::in_force::InForce;

fn package(file: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    folder
}

fn read(text: &str, profile: Option<&str>) -> Result<Settings, String> {
    let folder = package("slt.toml", text);
    let settings = Settings::read(folder.path(), profile).map(Option::unwrap);
    let folder = format!("{}/", folder.path().display());
    settings.map_err(|message| message.replace(&folder, ""))
}

#[test]
fn a_profile_beats_the_default_profile_and_that_beats_the_top() {
    let text = "workers = 1\nretries = 1\nseed = 1\n[profile.default]\nretries = 2\nseed = 2\n[profile.ci]\nseed = 3\n";
    let found = |profile| {
        let settings = read(text, profile).unwrap();
        let of = |key: &str| (settings.words(key).unwrap()[0].clone(), settings.entry(key).unwrap().line);
        (["workers", "retries", "seed"].map(of), settings.profile.clone())
    };
    let value = |value: &str, line| (value.to_owned(), line);
    let default = [value("1", 1), value("2", 5), value("2", 6)];
    assert_eq!(found(None), (default.clone(), Some("default".to_owned())));
    assert_eq!(found(Some("default")), (default, Some("default".to_owned())));
    assert_eq!(found(Some("ci")), ([value("1", 1), value("2", 5), value("3", 8)], Some("ci".to_owned())));
    assert_eq!(read(text, Some("cy")).unwrap_err(), "no profile `cy`: `slt.toml` has `ci`, `default`");
    assert_eq!(read("", Some("ci")).unwrap_err(), "no profile `ci`: `slt.toml` has no profiles");
    assert_eq!(read("", Some("default")).unwrap().entries, []);
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_its_line() {
    for (text, words) in [
        ("\nwrokers = 3\n", "slt.toml:2: unknown key `wrokers`; did you mean `workers`?"),
        ("excludes = []\n", "slt.toml:1: unknown key `excludes`; did you mean `exclude`?"),
        ("file_timeout = 3\n", "slt.toml:1: unknown key `file_timeout`; did you mean `file-timeout`?"),
        ("bless = true\n", "slt.toml:1: `bless` is chosen for one run and is not a setting: use the flag `--bless`"),
        ("zebra-crossing = 1\n", "slt.toml:1: unknown key `zebra-crossing`: `slt config` lists all keys"),
        ("[profile.ci]\nworkers = 2\nprofile = 1\n", "slt.toml:3: `profile` is chosen for one run"),
        ("[profile.ci]\nwrokers = 2\n", "slt.toml:2: unknown key `wrokers`; did you mean `workers`?"),
        ("[profiles.ci]\n", "slt.toml:1: unknown key `profiles`; did you mean `profile`?"),
        (
            "profile = \"ci\"\n",
            "slt.toml:1: `profile` needs a table for each profile, such as [profile.ci], not this string",
        ),
        ("[profile]\nci = 3\n", "slt.toml:2: `ci` needs a table of settings, not this integer"),
        ("workers = true\n", "slt.toml:1: `workers` needs a whole number or \"cores\", not this boolean"),
        ("workers = \"all\"\n", "slt.toml:1: `workers` needs a whole number or \"cores\", not this string"),
        ("workers = 0\n", "slt.toml:1: `workers`: `0`: must be at least 1"),
        ("retries = -1\n", "slt.toml:1: `retries`: `-1`: needs a whole number of at least 0"),
        ("max-records = 0\n", "slt.toml:1: `max-records`: `0`: needs a whole number of at least 1"),
        ("roots = \"a\"\n", "slt.toml:1: `roots` needs a list of paths, such as [\"tests/slt\"], not this string"),
        ("roots = [1]\n", "slt.toml:1: `roots` needs a path in quotes for each item, not this integer"),
        ("labels = [\n\"a\",\n1]\n", "slt.toml:3: `labels` needs a text in quotes for each item, not this integer"),
        ("labels = \"a\"\n", "slt.toml:1: `labels` needs a list of texts"),
        ("file-timeout = \"3\"\n", "slt.toml:1: `file-timeout` needs a number of seconds, not this string"),
        ("file-timeout = 0\n", "slt.toml:1: `file-timeout`: "),
        ("memory-limit = \"much\"\n", "slt.toml:1: `memory-limit`: not a size such as `512M` or `4G`"),
        ("stack-size = 1.5\n", "slt.toml:1: `stack-size` needs a number of bytes"),
        ("report = 1\n", "slt.toml:1: `report` needs true or false, not this integer"),
        ("engine = 1\n", "slt.toml:1: `engine` needs a text in quotes"),
        ("engine = \"oracle\"\n", "slt.toml:1: `engine`: no such engine `oracle`: use `sqlite`"),
        ("queue = \"http://x\"\n", "slt.toml:1: `queue`: no such queue"),
        ("known-failures = [\"a\"]\n", "slt.toml:1: `known-failures` needs a path in quotes, not this array"),
        ("test-threads = 0\n", "slt.toml:1: `test-threads`: `0`: needs a whole number of at least 1"),
        ("dialect = 1\n", "slt.toml:1: `dialect` needs a dialect, or a table of patterns"),
        ("dialect = \"slr\"\n", "slt.toml:1: `dialect`: unknown dialect `slr`: there are `classic`, `slt`"),
        ("[dialect]\n\"a/**\" = \"x\"\n", "slt.toml:2: `dialect`: unknown dialect `x`"),
        ("[dialect]\n\"a[\" = \"slt\"\n", "slt.toml:2: `dialect`: `a[` is not a file pattern"),
        (
            "exclude = [\"a\"]\n",
            "slt.toml:1: `exclude` needs tables such as { files = [\"tpch/**\"], reason = \"slow\" }",
        ),
        ("[[exclude]]\nfiles = [\"a\"]\n", "slt.toml:2: `exclude`: both `files` and `reason` are needed"),
        ("[[exclude]]\nfiles = [\"a\"]\nreason = \" \"\n", "slt.toml:3: `reason` needs a text in quotes, not empty"),
        ("[[exclude]]\nfiles = 1\nreason = \"r\"\n", "slt.toml:2: `files` needs a pattern, or a list of patterns"),
        ("[[exclude]]\nfile = \"a\"\nreason = \"r\"\n", "slt.toml:2: unknown key `file` in `exclude`"),
        (
            "[[exclude]]\nreason = \"r\"\nfiles = [\n\"a\",\n\"b[\"]\n",
            "slt.toml:5: `exclude`: `b[` is not a file pattern",
        ),
        ("workers = \n", "slt.toml:1: "),
        ("workers = 1\nworkers = 2\n", "slt.toml:2: duplicate key"),
    ] {
        let message = read(text, None).unwrap_err();
        assert!(message.starts_with(words), "{text:?}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_wrong_value_in_a_profile_that_is_not_chosen_is_an_error_too() {
    assert!(read("[profile.ci]\nreport = 1\n", None).unwrap_err().starts_with("slt.toml:2: `report` needs"));
}

#[test]
fn every_key_of_a_flag_is_one_of_its_flags() {
    let flags = <crate::config::Flags as clap::Args>::augment_args(Command::new("slt"));
    let ids: Vec<&str> = flags.get_arguments().map(|arg| arg.get_id().as_str()).collect();
    for key in KEYS.iter().filter(|key| !["exclude", "stack-size"].contains(&key.name)) {
        assert!(ids.contains(&key.id().as_str()), "{}", key.name);
    }
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = "roots = [\"a\", \"/b\"]\nknown-failures = \"known.toml\"\nqueue = \"q\"\nresults = \"r\"\n\
                engine = \"external:./driver --fast ./x\"\n";
    let folder = package("slt.toml", text);
    let settings = Settings::read(folder.path(), None).unwrap().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(settings.words("roots").unwrap(), [path("a"), "/b".to_owned()]);
    for (key, name) in [("known-failures", "known.toml"), ("queue", "q"), ("results", "r")] {
        assert_eq!(settings.words(key).unwrap(), [path(name)]);
    }
    assert_eq!(settings.words("engine").unwrap(), [format!("external:{} --fast ./x", path("./driver"))]);
    for engine in ["external:python3 ./driver.py", "external:/bin/driver", "postgres://me@h/db", "sqlite"] {
        let settings = read(&format!("engine = \"{engine}\"\n"), None).unwrap();
        assert_eq!(settings.words("engine").unwrap(), [engine]);
    }
}

#[test]
fn settings_stand_in_the_manifest_or_in_a_file_but_not_in_both() {
    let manifest =
        "[package]\nname = \"x\"\n\n[package.metadata.slt]\nworkers = 3\ntargets = [\"a\"]\nprofile.ci.workers = 4\n";
    let folder = package("Cargo.toml", manifest);
    let settings = Settings::read(folder.path(), Some("ci")).unwrap().unwrap();
    assert_eq!(
        (settings.words("workers").unwrap(), settings.entry("workers").unwrap().line),
        (&["4".to_owned()][..], 7)
    );
    fs::write(folder.path().join("slt.toml"), "").unwrap();
    let message = Settings::read(folder.path(), None).unwrap_err();
    assert!(message.starts_with("settings are in two places") && message.contains("keep one"), "{message}");
    // `targets` in a manifest is no setting.
    let manifest = "[package]\nname = \"slt\"\n[package.metadata.slt]\ntargets = []\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    assert!(Settings::read(folder.path(), None).unwrap().is_some());
    fs::remove_file(folder.path().join("slt.toml")).unwrap();
    assert!(Settings::read(folder.path(), None).unwrap().is_none());
    let message = Settings::read(folder.path(), Some("ci")).unwrap_err();
    assert!(message.starts_with("no profile `ci`: there is no `") && message.ends_with("slt.toml`"), "{message}");
}

#[test]
fn the_suite_takes_roots_dialects_and_exclusions_and_idle_patterns_are_named() {
    let text = "roots = [\"t\"]\n[dialect]\n\"a.test\" = \"slt\"\n\"no*\" = \"slt\"\n\
                [[exclude]]\nfiles = [\"b*\",\n\"c*\"]\nreason = \"slow\"\n";
    let folder = package("slt.toml", text);
    let read = || Settings::read(folder.path(), None).unwrap().unwrap();
    let message = read().on(Suite::from_roots([]), false).unwrap_err();
    assert!(message.contains("slt.toml:1: `roots`: `") && message.ends_with("no such file or folder"), "{message}");
    assert!(read().on(Suite::from_roots([folder.path().into()]), true).is_ok());
    fs::create_dir(folder.path().join("t")).unwrap();
    for name in ["a.test", "b.test"] {
        fs::write(folder.path().join("t").join(name), "").unwrap();
    }
    let files = read().on(Suite::from_roots([]), false).unwrap().discover().unwrap();
    assert_eq!(files[0].dialect, Dialect::Slt);
    assert_eq!((files[0].excluded.as_deref(), files[1].excluded.as_deref()), (None, Some("slow")));
    let idle = read().idle(files.iter().map(|file| file.name.as_str()));
    assert!(idle.len() == 2 && idle[0].ends_with("slt.toml:7: `exclude`: no test file matches `c*`"), "{idle:?}");
    assert!(idle[1].ends_with("slt.toml:4: `dialect`: no test file matches `no*`"), "{idle:?}");
}

#[test]
fn settings_that_are_handed_on_are_the_same_and_hide_passwords_when_shown() {
    let settings = read("engine = \"postgres://me:hunter2@h/db\"\nseed = 3\n", None).unwrap();
    let json = serde_json::to_string(&Some(&settings)).unwrap();
    let back: Option<Settings> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.unwrap().entries, settings.entries);
    let command = <crate::config::Flags as clap::Args>::augment_args(Command::new("slt"));
    let matches = command.clone().try_get_matches_from(["slt", "--seed", "4"]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    let in_force = InForce::new(&command, &matches, Some(&settings));
    for text in [in_force.text(), in_force.json()] {
        assert!(text.contains("postgres://me@h/db") && !text.contains("hunter2"), "{text}");
    }
    assert!(in_force.is_typed("seed") && !in_force.is_typed("engine"));
}
