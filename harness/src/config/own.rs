//! The command line of a test target, with the target's own flags.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use md5::{Digest, Md5};

use super::help::AFTER_HELP;
use super::{Config, Flags, check_typed, read, readable_help};

/// The flags of a target that has no flags of its own.
#[derive(Debug, Args)]
pub(crate) struct NoFlags {}

impl Config {
    /// Reads a test binary's command line, which begins with the program's name.
    ///
    /// # Errors
    /// `--help`, which the caller prints; or a flag or variable cannot be used, and the message names it.
    pub fn from_command_line(arguments: impl IntoIterator<Item = OsString>) -> Result<Config, clap::Error> {
        Config::with_own::<NoFlags>(arguments).map(|(config, _)| config)
    }

    /// Reads a test binary's command line with the target's own flags, too.
    ///
    /// # Errors
    /// As for [`from_command_line`](Config::from_command_line).
    pub fn with_own<A: Args>(arguments: impl IntoIterator<Item = OsString>) -> Result<(Config, A), clap::Error> {
        Config::with_own_as(arguments, "cargo test --test NAME --")
    }

    /// Like [`with_own`](Config::with_own), for a command line that began with `typed`, before its flags.
    ///
    /// # Errors
    /// As for [`from_command_line`](Config::from_command_line).
    pub(crate) fn with_own_as<A: Args>(
        arguments: impl IntoIterator<Item = OsString>,
        typed: &str,
    ) -> Result<(Config, A), clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut command =
            A::augment_args(readable_help(Flags::augment_args(Command::new("slt"))).next_help_heading(OWN))
                .about("Runs SQLLogicTest files, each as one test.")
                .override_usage(format!("{typed} [OPTIONS] [FILTERS]..."))
                .after_long_help(AFTER_HELP);
        let read = read(&mut command, &arguments)?;
        let matches = &read.matches;
        let mut flags = Flags::from_arg_matches(matches).map_err(|error| error.format(&mut command))?;
        let own = A::from_arg_matches(matches).map_err(|error| error.format(&mut command))?;
        flags.imply(matches);
        check_typed(matches).map_err(|message| read.error(&mut command, message))?;
        let config = Config::from_flags(flags).map_err(|message| command.error(ErrorKind::ValueValidation, message))?;
        Ok((Config { own: given::<A>(matches), ..config }.under(read), own))
    }
}

pub(crate) const OWN: &str = "Options of this test target";

/// The target's own flags that were given, each with a hash of its values, because these may be secret.
fn given<A: Args>(matches: &ArgMatches) -> Vec<(String, String)> {
    let command = A::augment_args(Command::new("own"));
    let own = command.get_arguments().filter_map(|argument| {
        let id = argument.get_id().as_str();
        matches.value_source(id).filter(|source| *source != ValueSource::DefaultValue)?;
        let values: Vec<&[u8]> = matches.get_raw(id)?.map(|value| value.as_encoded_bytes()).collect();
        let value = match values.as_slice() {
            [b"true"] => "on".to_owned(),
            values => format!("a value of MD5 {:x}", Md5::digest(values.join(&0))),
        };
        Some((format!("--{}", argument.get_long().unwrap_or(id)), value))
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::foreign::FOREIGN;

    #[derive(Debug, Args)]
    struct Own {
        /// Run the slow files too
        #[arg(long, env = "SLT_TEST_INCLUDE_SLOW")]
        include_tpch: bool,
        #[arg(long, default_value = "7")]
        depth: u32,
    }

    fn read<A: Args>(arguments: &[&str]) -> Result<(Config, A), clap::Error> {
        Config::with_own(["slt"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn flags_of_ones_own_stand_beside_ours_and_count_for_who_may_share_a_run() {
        let (config, own) = read::<Own>(&["--include-tpch", "joins", "--test-threads", "3"]).unwrap();
        assert!(own.include_tpch && own.depth == 7 && config.threads == 3);
        assert_eq!(config.filter.patterns, ["joins"]);
        assert_eq!(config.own, [("--include-tpch".to_owned(), "on".to_owned())]);
        let of_depth = |depth| read::<Own>(&["--depth", depth]).unwrap().0.own;
        assert_ne!(of_depth("8"), of_depth("9"));
        assert_eq!(read::<Own>(&[]).unwrap().0.own, []);
        assert_eq!(read::<Own>(&["--depth", "x"]).unwrap_err().kind(), ErrorKind::ValueValidation);
    }

    #[test]
    fn a_flag_of_another_runner_is_answered_with_ours() {
        for (typed, ours) in
            [("--complete", "`--bless`"), ("--include-tpch", "`Suite::exclude`"), ("-j", "--test-threads")]
        {
            let error = read::<NoFlags>(&[typed]).unwrap_err();
            assert!(error.to_string().contains(ours) && error.exit_code() == 2, "{error}");
        }
        let error = read::<NoFlags>(&["--no-such-flag"]).unwrap_err().to_string();
        assert!(error.contains("unexpected argument '--no-such-flag'"), "{error}");
        for (foreign, _) in FOREIGN {
            assert_eq!(
                read::<NoFlags>(&[foreign]).unwrap_err().kind(),
                ErrorKind::UnknownArgument,
                "{foreign} is ours"
            );
        }
    }
}
