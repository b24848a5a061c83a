//! Reads a command line whose flags have the settings of the package as defaults.

use std::ffi::OsString;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

use super::flags::Flags;
use super::foreign;
use super::help::name_variable;
use super::in_force::InForce;
use super::settings::{self, PROFILE, Settings};
use crate::environment;
use crate::suite::Suite;

/// A command line that was read, and the settings that are its defaults.
pub(crate) struct Read {
    pub(crate) matches: ArgMatches,
    pub(crate) settings: Option<Arc<Settings>>,
    pub(crate) in_force: InForce,
}

impl Read {
    /// The flags of the subcommand that the user typed.
    #[cfg(feature = "commands")]
    pub(crate) fn own(&self) -> &ArgMatches {
        innermost(&self.matches).1
    }

    /// An error about what the user typed, followed by the usage of the command.
    pub(crate) fn error(&self, command: &mut Command, message: String) -> clap::Error {
        let kind = ErrorKind::MissingRequiredArgument;
        match self.matches.subcommand_name().and_then(|name| command.find_subcommand_mut(name)) {
            Some(typed) => typed.error(kind, message),
            None => command.error(kind, message),
        }
    }

    /// Applies the settings to the suite, and asks for the stack size that they set, if the command uses a suite.
    ///
    /// # Errors
    /// The settings name a root that does not exist.
    pub(crate) fn on(&self, suite: Suite) -> Result<Suite, String> {
        let (name, own) = innermost(&self.matches);
        // `query` has the flag `--root` for another purpose.
        let takes_suite = name != Some("query") && own.try_contains_id("roots").is_ok();
        match self.settings.as_ref().filter(|_| takes_suite) {
            Some(settings) => {
                settings.stack_size().into_iter().for_each(crate::crash::ask_for_stack);
                settings.on(suite, own.contains_id("roots"))
            }
            None => Ok(suite),
        }
    }
}

/// Adds the flag `--profile` to every subcommand that does not have it.
pub(crate) fn with_profile(mut command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let flags = <Flags as clap::Args>::augment_args(Command::new("slt"));
    let profile = flags.get_arguments().find(|arg| arg.get_id() == PROFILE).expect("it is there");
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            let has_it = sub.get_arguments().any(|arg| arg.get_id() == PROFILE);
            let own = || profile.clone().help_heading(None::<&str>).hide_env_values(true);
            if has_it { sub } else { sub.arg(own()) }
        });
    }
    command
}

/// Reads a command line whose flags have the settings of the package as defaults.
///
/// # Errors
/// The command line, a variable or the settings cannot be used; or `--help`, which the caller prints.
pub(crate) fn read(command: &mut Command, arguments: &[OsString]) -> Result<Read, clap::Error> {
    let unusable = |message: String| clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"));
    if let Some(message) = environment::contradiction() {
        return Err(unusable(message));
    }
    *command = by_any_name(command.clone());
    let mut plain = command.clone();
    let first = plain.try_get_matches_from_mut(arguments);
    let mut matches = first.map_err(|error| worded(error, &plain, arguments))?;
    let settings = {
        let (_, own) = innermost(&matches);
        let profile = own.try_get_one::<String>(PROFILE).ok().flatten();
        settings::in_use(profile.map(String::as_str)).map_err(unusable)?
    };
    if let Some(settings) = &settings {
        let (name, own) = innermost(&matches);
        *command = match name {
            Some(name) => command.clone().mut_subcommand(name, |sub| settings.defaults(sub, own)),
            None => settings.defaults(command.clone(), own),
        };
        matches = command.try_get_matches_from_mut(arguments).map_err(|error| worded(error, command, arguments))?;
    } else {
        *command = plain;
    }
    let (name, own) = innermost(&matches);
    let flags = name.and_then(|name| command.find_subcommand(name)).unwrap_or(command);
    let in_force = InForce::new(flags, own, settings.as_ref());
    Ok(Read { matches, settings: settings.map(Arc::new), in_force })
}

/// An error about the command line in the words of this program: it answers a flag of another runner, and names the variable
/// whose value cannot be used.
fn worded(error: clap::Error, command: &Command, arguments: &[OsString]) -> clap::Error {
    let typed = arguments.get(1).and_then(|name| command.find_subcommand(name));
    let command = typed.unwrap_or(command);
    // Only commands that run files take our flags.
    let runs_files = command.get_arguments().any(|argument| argument.get_id() == "engine");
    match foreign::ours_for(&error).filter(|_| runs_files) {
        Some(hint) => clap::Error::raw(error.kind(), format!("{hint}\n")),
        None => name_variable(error, command, arguments),
    }
}

/// Makes the flags of a command read the earlier name of a variable where only that one is set.
fn by_any_name(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let by_any_name = |arg: Arg| match arg.get_env().and_then(environment::earlier_name_in_use) {
        Some(earlier) => arg.env(earlier),
        None => arg,
    };
    let command = command.mut_args(by_any_name);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| sub.mut_args(by_any_name)))
}

/// The subcommand and its flags, or only the flags if there is no subcommand.
fn innermost(matches: &ArgMatches) -> (Option<&str>, &ArgMatches) {
    match matches.subcommand() {
        Some((name, own)) => (Some(name), own),
        None => (None, matches),
    }
}
