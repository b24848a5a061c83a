//! Reads one key from a terminal, and a text from an editor.

use std::io::{self, IsTerminal, Read, Write};
use std::process::Command;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

/// Whether there is a user to ask.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks, and waits for a key, without Enter. Ctrl-C and Ctrl-D are keys too; the end of the input counts as Ctrl-D.
///
/// # Errors
/// The terminal's mode cannot be changed, or it cannot be read.
pub(super) fn key(question: &str) -> io::Result<u8> {
    let stdin = io::stdin();
    let usual = tcgetattr(&stdin)?;
    let mut by_key = usual.clone();
    by_key.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
    by_key.special_codes[SpecialCodeIndex::VMIN] = 1;
    by_key.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&stdin, OptionalActions::Drain, &by_key)?;
    say!("{question}");
    let mut byte = [0];
    // If the user began a line before the mode changed, one read may return nothing.
    let read = (0..3).map(|_| stdin.lock().read(&mut byte)).find(|read| !matches!(read, Ok(0)));
    tcsetattr(&stdin, OptionalActions::Drain, &usual)?;
    Ok(if read.unwrap_or(Ok(0))? == 0 { END } else { byte[0] })
}

/// Ctrl-C.
pub(super) const INTERRUPT: u8 = 3;

/// Ctrl-D.
pub(super) const END: u8 = 4;

/// Lets the user change a text in `$VISUAL`, `$EDITOR` or `vi`. The file that the editor gets has this extension.
///
/// # Errors
/// As a sentence: the editor cannot be started, or ends with an error.
pub(super) fn edit(text: &[u8], extension: &str) -> Result<Vec<u8>, String> {
    let named =
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let editor = named.unwrap_or_else(|| "vi".to_owned());
    let words = shlex::split(&editor).filter(|words| !words.is_empty());
    let Some(words) = words else { return Err(format!("`{editor}` is not a command")) };
    let failed = |error: io::Error| format!("cannot edit the record in `{editor}`: {error}");
    let suffix = format!(".{extension}");
    let mut file = tempfile::Builder::new().prefix("record-").suffix(&suffix).tempfile().map_err(failed)?;
    file.write_all(text).map_err(failed)?;
    let status = Command::new(&words[0]).args(&words[1..]).arg(file.path()).status().map_err(failed)?;
    match status.success() {
        true => std::fs::read(file.path()).map_err(failed),
        false => Err(format!("`{editor}` ended with {status}: nothing was changed")),
    }
}
