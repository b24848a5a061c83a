//! `slt review`: accepts or rejects the new results that `--bless=review` wrote, record by record.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use walkdir::WalkDir;

use super::complain;
use crate::config;
use crate::diff::{LONGEST, Shape, Sides};
use crate::report::paint;
use crate::report::words::count;
use crate::script::source;
use crate::suite::{Suite, WAITING, shown};
use crate::summary::ExitStatus;
use crate::trial::review::{Proposal, beside, settle};

mod changes;
mod terminal;

use changes::{Changes, Decision, Piece};

/// The flags of `slt review`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Flags {
    /// Test files whose new results are reviewed, or folders: paths from the current folder, or names below the root;
    /// without any, all below the root that have new results
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Accept all of them, and ask nothing
    #[arg(long)]
    accept: bool,

    /// Reject all of them, and ask nothing
    #[arg(long, conflicts_with = "accept")]
    reject: bool,

    /// Folder to search for new results (repeatable)
    #[arg(long = "root", value_name = "PATH", env = "SLT_CORPUS")]
    roots: Vec<PathBuf>,
}

const AFTER_HELP: &str = "\
Keys: a accept, r reject, s skip (decide later), e change the record in $VISUAL or $EDITOR
first, q quit, Ctrl-C leave this file as it was. A file is written when its last record is
decided.

Examples:
  slt run --bless=review                 writes FILE.new beside each file with new results
  slt review                             shows them one by one
  slt review --accept select/joins.test

Exit codes: 0 done, or nothing waits; 3 Ctrl-C; 101 a file was refused, because it changed
meanwhile or cannot be written; 2 the command line cannot be used, or there is no
terminal.";

/// The new results that wait beside one file.
struct Waiting {
    path: PathBuf,
    proposal: Proposal,
    text: Vec<u8>,
    changes: Changes,
}

/// Reviews the new results that wait.
pub(super) fn run(flags: &Flags, suite: Suite) -> ExitStatus {
    let suite = if flags.roots.is_empty() { suite } else { suite.at(config::roots(flags.roots.clone())) };
    let found = match found(&flags.files, &suite) {
        Ok(found) => found,
        Err(message) => return complain(&message, ExitStatus::Usage),
    };
    if found.is_empty() {
        let roots: Vec<String> = suite.roots().iter().map(|root| format!("`{}`", shown(root))).collect();
        say!("no new results wait below {}: `--bless=review` writes them", roots.join(", "));
        return ExitStatus::Passed;
    }
    let mut status = ExitStatus::Passed;
    let mut waiting = Vec::new();
    for path in found {
        match Waiting::read(path) {
            Ok(one) => waiting.extend(one),
            Err(message) => status = complain(&message, ExitStatus::Failed),
        }
    }
    let all = match (flags.accept, flags.reject) {
        (true, _) => Some(Decision::Accept),
        (_, true) => Some(Decision::Reject),
        _ if waiting.is_empty() => return status,
        _ if terminal::is_there() => None,
        _ => {
            let names =
                waiting.iter().map(|one| format!("  {}: {}", shown(&one.path), count(one.len() as u64, "record")));
            let names = names.collect::<Vec<_>>().join("\n");
            let message = "`slt review` asks on a terminal, and there is none: `--accept` takes all new results, and `--reject` \
                           leaves them; name files to do either for these alone";
            return complain(&format!("{message}\n{names}"), ExitStatus::Usage);
        }
    };
    for one in &mut waiting {
        let decided = match all {
            Some(decision) => Ok(one.all(decision)),
            None => one.ask(),
        };
        let (decisions, goes_on) = match decided {
            Ok(decided) => decided,
            Err(interrupted) => return complain(&interrupted, ExitStatus::Incomplete),
        };
        match one.settle(&decisions) {
            Ok(words) => say!("{words}"),
            Err(reason) => {
                let message = format!("`{}` stays as it is: {reason}", shown(&one.path));
                status = complain(&message, ExitStatus::Failed);
            }
        }
        if !goes_on {
            break;
        }
    }
    status
}

impl Waiting {
    /// Reads the new results that wait beside a file; `None` if the file already has the new text.
    ///
    /// # Errors
    /// Why they cannot be reviewed.
    fn read(path: PathBuf) -> Result<Option<Waiting>, String> {
        let (new, name) = (beside(&path), shown(&path).into_owned());
        let proposal = match Proposal::read(&new) {
            Ok(Some(proposal)) => proposal,
            Ok(None) => return Err(format!("`{}` was not written by `--bless=review`", shown(&new))),
            Err(error) => return Err(format!("cannot read `{}`: {error}", shown(&new))),
        };
        let text = source::read(&path).map_err(|error| format!("cannot read `{name}`: {error}"))?;
        let again = "run it again with `--bless=review`";
        if text == proposal.text {
            settle(&path, &text, &text, &text, proposal.dialect)?;
            say!("{name}: has the new results already; removed `{}`", shown(&new));
            return Ok(None);
        }
        if !proposal.is_for(&text) {
            return Err(format!("`{name}` has changed since `{}` was written: {again}", shown(&new)));
        }
        let changes = Changes::new(&text, &proposal.text, proposal.dialect);
        let changes = changes.map_err(|why| format!("`{}` does not fit its file: {why}; {again}", shown(&new)))?;
        Ok(Some(Waiting { path, proposal, text, changes }))
    }

    /// How many records differ.
    fn len(&self) -> usize {
        self.changes.pieces().count()
    }

    /// The same decision for each record. A record that now expects an error instead of success, or the other way round,
    /// gets a line.
    fn all(&self, decision: Decision) -> (Vec<Decision>, bool) {
        for piece in self.changes.pieces().filter(|_| decision == Decision::Accept) {
            if let Some(turn) = piece.turn() {
                say!("{}:{}: {}", shown(&self.path), piece.line, turn);
            }
        }
        (vec![decision; self.len()], true)
    }

    /// Asks for each record; also returns whether the user wants to see more files.
    ///
    /// # Errors
    /// The user interrupted it, or the terminal failed.
    fn ask(&mut self) -> Result<(Vec<Decision>, bool), String> {
        let mut decisions = Vec::new();
        while decisions.len() < self.len() {
            let index = decisions.len();
            self.show(index);
            loop {
                let key = terminal::key("[a]ccept  [r]eject  [s]kip  [e]dit  [q]uit")
                    .map_err(|error| format!("cannot read from the terminal: {error}"))?;
                match key.to_ascii_lowercase() {
                    b'a' => decisions.push(Decision::Accept),
                    b'r' => decisions.push(Decision::Reject),
                    b's' => decisions.push(Decision::Skip),
                    b'e' => {
                        if let Err(reason) = self.edit(index) {
                            say!("{reason}");
                        }
                    }
                    b'q' | terminal::END => return Ok((decisions, false)),
                    terminal::INTERRUPT => {
                        return Err(format!("interrupted: `{}` is as it was", shown(&self.path)));
                    }
                    _ => continue,
                }
                break;
            }
        }
        Ok((decisions, true))
    }

    fn show(&self, index: usize) {
        let Some(piece) = self.changes.pieces().nth(index) else { return };
        say!("\n{}:{} ({} of {})", shown(&self.path), piece.line, index + 1, self.len());
        // If the terminal is gone, reading the key reports that.
        let _ = writeln!(anstream::stdout(), "{}", paint::diff(&difference(piece)));
        if let Some(turn) = piece.turn() {
            say!("NOTE: {turn}");
        }
    }

    fn edit(&mut self, index: usize) -> Result<(), String> {
        let Some(piece) = self.changes.pieces().nth(index) else { return Ok(()) };
        let extension = self.path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let edited = terminal::edit(&piece.new, &extension)?;
        self.changes.edit(index, edited)
    }

    /// Writes the file according to these decisions, and writes what still waits; returns a message about both.
    ///
    /// # Errors
    /// As a fragment: why nothing was written.
    fn settle(&self, decisions: &[Decision]) -> Result<String, String> {
        let (file, waiting) = self.changes.decide(decisions);
        // The user may have removed the blank line between two records in the editor.
        Changes::new(&self.text, &file, self.proposal.dialect)?;
        settle(&self.path, &self.text, &file, &waiting, self.proposal.dialect)?;
        let of = |kind| decisions.iter().filter(|decision| **decision == kind).count();
        let (accepted, rejected) = (of(Decision::Accept), of(Decision::Reject));
        let left = self.len().saturating_sub(accepted + rejected);
        let left = if left > 0 { format!(", {left} left to review") } else { String::new() };
        let name = shown(&self.path).into_owned();
        Ok(format!("{name}: {} accepted, {rejected} rejected{left}", count(accepted as u64, "record")))
    }
}

fn difference(piece: &Piece) -> String {
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text.trim_ascii_end()).lines().map(str::to_owned).collect()
    };
    let (old, new) = (lines(&piece.old), lines(&piece.new));
    let numbers: Vec<u64> = (piece.first..).take(old.len()).collect();
    Sides { expected: &old, actual: &new, shape: Shape::Text, sorted: false, numbers: &numbers }.text(LONGEST)
}

/// The files with new results: those that the user names, or all below the roots.
fn found(named: &[PathBuf], suite: &Suite) -> Result<Vec<PathBuf>, String> {
    let roots = if named.is_empty() { suite.roots() } else { named };
    let mut found = Vec::new();
    for path in roots {
        let below = suite.roots().iter().map(|root| root.join(path)).filter(|_| !named.is_empty());
        let exists = |path: &PathBuf| path.exists() || beside(path).exists();
        let Some(path) = std::iter::once(path.clone()).chain(below).find(exists) else {
            if named.is_empty() {
                suite.check_roots().map_err(|error| error.to_string())?;
            }
            return Err(format!("no such file or folder: `{}`", path.display()));
        };
        if path.is_dir() {
            for entry in WalkDir::new(&path).sort_by_file_name() {
                let entry = entry.map_err(|error| error.to_string())?;
                if let (true, Some(path)) = (entry.file_type().is_file(), without(entry.path()))
                    && matches!(Proposal::read(entry.path()), Ok(Some(_)))
                {
                    found.push(path);
                }
            }
            continue;
        }
        // A user may also name `x.slt.new`, the file in which the results wait.
        let path = without(&path).unwrap_or(path);
        // Results wait beside the file itself, not beside a link to it.
        let path = if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path };
        if !beside(&path).exists() {
            if named.is_empty() {
                continue;
            }
            let path = shown(&path).into_owned();
            return Err(format!("no new results wait for `{path}`: `--bless=review` writes them to `{path}{WAITING}`"));
        }
        found.push(path);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The file that the results in this file are for: `x.slt` for `x.slt.new`; `None` for any other name.
fn without(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(WAITING)?;
    (!name.is_empty()).then(|| path.with_file_name(name))
}
