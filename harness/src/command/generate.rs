//! `slt completions` and `slt man`: describe the command line to shells and to `man`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{CommandError, built, print, print_raw};
use crate::report::files::replace;
use crate::summary::ExitStatus;

/// The flags of `slt completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that completes
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// The flags of `slt man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder that gets a page for `slt`, `slt.1`, and one for each command, `slt-run.1`; without it, the page for `slt` is
    /// printed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints a script that lets a shell complete `slt`.
pub(super) fn completions(flags: &Completions) -> Result<ExitStatus, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut built(), "slt", &mut script);
    print_raw(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, or writes all of them.
pub(super) fn man(flags: &Man) -> Result<ExitStatus, CommandError> {
    let mut command = built().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &flags.folder else {
        return print_raw(&page(command).map_err(CommandError::Output)?.1);
    };
    let failed = |path: &Path, source| CommandError::Write { path: path.display().to_string(), source };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let commands: Vec<Command> = command.get_subcommands().cloned().chain([command.clone()]).collect();
    let count = commands.len();
    for command in commands {
        let (name, text) = page(command).map_err(CommandError::Output)?;
        let path = folder.join(name);
        replace(&path, text.as_bytes()).map_err(|source| failed(&path, source))?;
    }
    print(&format!("wrote {count} pages to `{}`\n", folder.display()))
}

/// The manual page of a command, and its file name.
fn page(command: Command) -> io::Result<(String, String)> {
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    // Examples and exit codes keep their lines.
    let page = String::from_utf8_lossy(&page).replace(".SH EXTRA\n", ".SH NOTES\n.nf\n");
    let page = page.replace("\n.SH VERSION\n", "\n.fi\n.SH VERSION\n");
    Ok((man.get_filename(), page))
}
