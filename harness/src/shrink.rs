//! Makes a failing script as short as it can be while it still fails the same way.
//!
//! ```text
//! records ──▶ rows of INSERTs ──▶ parts of the SQL's tree ──▶ tokens, values ──▶ records again, until nothing more can go
//! ```
//!
//! Each try is a script that runs in [its own process](attempt), under a time limit. A try counts if the same record fails in
//! the same way: with the same message and the same wrong result, with the same signal, or by running for too long. If there is
//! a reference, the record must also pass there. Without a reference, it is unknown whether the expected result of a shorter
//! script is still right.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dialect::outline::Kind;
use crate::process::Family;
use crate::suite::{At, TestFile};

mod attempt;
mod pieces;
mod reduce;
mod sql;
mod tokens;
mod tree;

use attempt::{Bench, Ended, failure};
pub(crate) use attempt::{BenchError, Symptom, asked_for, run as attempt};
use pieces::{Piece, lines, pieces, script, sql};
use reduce::reduce;

/// The script to shrink, and the settings for it.
pub(crate) struct Plan<'p> {
    pub file: &'p TestFile,
    /// A line of the record and, if named, a pass of its loops; `None` means the first record that fails.
    pub at: Option<At>,
    /// The command for a try: with `false` on the engine, with `true` on the reference.
    pub command: &'p dyn Fn(bool) -> Command,
    pub has_reference: bool,
    /// The SQL dialect of the engine, by its name in the `sqlparser` crate; any other name means a general dialect.
    pub sql_dialect: &'p str,
    /// The time limit of a try; `None` means that it is derived from the first try.
    pub limit: Option<Duration>,
    /// How long one record may run before its process is killed, if records have a limit.
    pub record_limit: Option<Duration>,
    /// The time limit for the whole shrinking.
    pub budget: Option<Duration>,
    pub seed: u64,
    /// How often the failure must happen before the script is shrunk, and again at the end.
    pub confirm: u32,
}

/// A script that still fails.
#[derive(Debug)]
pub(crate) struct Shrunk {
    pub symptom: Symptom,
    /// The number of records in the whole script, and in the shrunk one.
    pub before: usize,
    pub left: usize,
    pub tries: u32,
    pub script: Vec<u8>,
    pub sql: Vec<u8>,
    /// Whether the record passes on the reference.
    pub has_reference: bool,
    /// Why shrinking stopped early, if it did.
    pub stopped: Option<&'static str>,
    /// The line of the record in the script that was shrunk.
    pub line: u64,
}

/// Why nothing was shrunk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShrinkError {
    #[error("{0}")]
    Script(String),
    #[error("{0}")]
    Passes(String),
    #[error("{0}")]
    Flaky(String),
    #[error("interrupted before the failure was seen again: nothing is written")]
    Interrupted,
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error("cannot make a folder for the tries: {0}")]
    Folder(#[from] std::io::Error),
}

/// A callback that receives the progress.
pub(crate) type Progress<'p> = &'p mut dyn FnMut(&str, usize, u32);

/// Shrinks a script to a shorter one that fails in the same way.
///
/// # Errors
/// The script does not fail, or not every time; or tries cannot be made.
pub(crate) fn shrink(
    plan: &Plan<'_>,
    family: &Family,
    interrupted: &mut dyn FnMut() -> bool,
    progress: Progress<'_>,
) -> Result<Shrunk, ShrinkError> {
    let folder = tempfile::tempdir()?;
    let bench = Bench {
        family,
        folder: folder.path(),
        file: plan.file,
        command: plan.command,
        pass: plan.at.as_ref().map_or("", |at| at.pass.as_str()),
        record_limit: plan.record_limit,
        interrupted,
    };
    let all = pieces(plan.file).map_err(ShrinkError::Script)?;
    let mut shrinker = Shrinker {
        plan,
        bench,
        best: all,
        target: 0,
        symptom: Symptom::TimedOut,
        loosely: false,
        reference: plan.has_reference,
        limit: plan.limit.unwrap_or(LONGEST),
        began: Instant::now(),
        seen: HashMap::new(),
        tries: 0,
        stopped: None,
        error: None,
        stage: "",
        progress,
    };
    let before = shrinker.records();
    let line = shrinker.find()?;
    shrinker.confirm()?;
    // If an error or a limit stops the work, the best script so far remains.
    let _ = shrinker.work();
    if let Some(error) = shrinker.error.take() {
        return Err(error.into());
    }
    if shrinker.stopped.is_none() {
        shrinker.seen.clear();
        shrinker.reproduce("shrunk, it")?;
    }
    let (script, _) = script(&shrinker.best, shrinker.target);
    Ok(Shrunk {
        before,
        left: shrinker.records(),
        tries: shrinker.tries,
        script,
        sql: sql(&shrinker.best),
        has_reference: shrinker.reference,
        stopped: shrinker.stopped,
        symptom: shrinker.symptom,
        line,
    })
}

/// The time limit of the first try, if the user has not set one.
const LONGEST: Duration = Duration::from_secs(60);

/// The minimum time limit of later tries.
const SHORTEST: Duration = Duration::from_secs(5);

/// The reason for stopping after Ctrl-C.
pub(crate) const INTERRUPTED: &str = "interrupted";

struct Shrinker<'s> {
    plan: &'s Plan<'s>,
    bench: Bench<'s>,
    /// The shortest script so far that fails the same way.
    best: Vec<Piece>,
    /// The index of the failing record in `best`.
    target: usize,
    symptom: Symptom,
    /// Whether messages differ in numbers from run to run.
    loosely: bool,
    reference: bool,
    limit: Duration,
    began: Instant,
    /// The scripts that were tried, and whether each still failed the same way.
    seen: HashMap<Vec<u8>, bool>,
    tries: u32,
    stopped: Option<&'static str>,
    error: Option<BenchError>,
    stage: &'static str,
    progress: Progress<'s>,
}

type Flow<T> = ControlFlow<(), T>;

impl Shrinker<'_> {
    fn records(&self) -> usize {
        self.best.iter().filter(|piece| piece.kind.is_record()).count()
    }

    fn shown(&self, line: u64) -> String {
        format!("{}:{line}", self.plan.file.script())
    }

    /// Finds the record that fails, and drops the records after it. Returns its line in the file.
    fn find(&mut self) -> Result<u64, ShrinkError> {
        let name = self.plan.file.script().to_owned();
        let target = match self.plan.at.as_ref().map(|at| at.line) {
            Some(line) => {
                let covers = |piece: &Piece| piece.kind.is_record() && (piece.lines.0..=piece.lines.1).contains(&line);
                self.best.iter().position(covers)
            }
            None => {
                // With no piece as the target, the whole script runs.
                let (text, _) = script(&self.best, usize::MAX);
                let ended = self.bench.run(&text, None, false, self.limit)?;
                if ended == Ended::Interrupted {
                    return Err(ShrinkError::Interrupted);
                }
                let Some((line, symptom)) = failure(&ended) else {
                    return Err(ShrinkError::Passes(format!("`{name}` does not fail: there is nothing to shrink")));
                };
                let at = lines(&self.best).iter().position(|directive| *directive == line);
                if at.is_none() {
                    let log = self.bench.log();
                    let log = if log.is_empty() { String::new() } else { format!("\n{log}") };
                    return Err(ShrinkError::Script(format!(
                        "`{name}` fails in no record ({symptom}), and only records are shrunk{log}"
                    )));
                }
                at
            }
        };
        let target =
            target.ok_or_else(|| ShrinkError::Script(format!("there is no record in that line of `{name}`")))?;
        // If the record is in a loop, the script needs the whole loop.
        let (mut depth, mut end) = (0_i32, target + 1);
        for (index, piece) in self.best.iter().enumerate() {
            depth += match piece.kind {
                Kind::Loop => 1,
                Kind::End => -1,
                _ => 0,
            };
            if index >= target && depth <= 0 {
                end = index + 1;
                break;
            }
        }
        self.target = target;
        self.best.truncate(end);
        Ok(self.best[target].lines.1.min(self.best[target].lines.0.max(1)))
    }

    /// Makes sure that the record fails, each time in the same way, and passes on the reference.
    fn confirm(&mut self) -> Result<(), ShrinkError> {
        let (text, line) = script(&self.best, self.target);
        let mut symptoms = Vec::new();
        let records = self.records();
        (self.progress)("(does it fail each time?)", records, 0);
        for _ in 0..self.plan.confirm.max(1) {
            let began = Instant::now();
            let ended = self.bench.run(&text, Some(line), false, self.limit)?;
            self.tries += 1;
            if ended == Ended::Interrupted {
                return Err(ShrinkError::Interrupted);
            }
            symptoms.push(failure(&ended).filter(|(at, _)| *at == line).map(|(_, symptom)| symptom));
            if symptoms.last().is_some_and(|symptom| *symptom != Some(Symptom::TimedOut)) && self.plan.limit.is_none() {
                let limit = (began.elapsed() * 5).max(SHORTEST);
                self.limit = self.limit.min(limit + self.plan.record_limit.unwrap_or_default());
            }
        }
        let place = self.shown(self.best[self.target].lines.0);
        let failed = symptoms.iter().flatten().count();
        let tried = symptoms.len();
        let flaky = |words: String| ShrinkError::Flaky(format!("flaky: the record at `{place}` {words}"));
        let Some(first) = symptoms.iter().flatten().next().cloned() else {
            // Without a named line, this record is the one that failed a moment ago.
            return Err(match self.plan.at {
                None => flaky(format!("failed once, and then in none of {tried} tries")),
                Some(_) => ShrinkError::Passes(format!(
                    "the record at `{place}` does not fail ({tried} tries): there is nothing to shrink"
                )),
            });
        };
        let flaky = |words: String| Err(flaky(words));
        if failed < tried {
            return flaky(format!("failed in {failed} of {tried} tries ({first})"));
        }
        let alike = |loosely: bool| symptoms.iter().flatten().all(|symptom| symptom.is_like(&first, loosely));
        self.loosely = !alike(false);
        if !alike(true) {
            let other = symptoms.iter().flatten().find(|symptom| !symptom.is_like(&first, true));
            let other = other.map(ToString::to_string).unwrap_or_default();
            return flaky(format!("fails in different ways in {tried} tries: `{first}` and `{other}`"));
        }
        self.symptom = first;
        // A crash or a time-out needs no reference.
        self.reference &= matches!(self.symptom, Symptom::Failed { .. });
        if self.reference {
            let ended = self.bench.run(&text, Some(line), true, self.limit)?;
            self.tries += 1;
            match ended {
                Ended::Interrupted => return Err(ShrinkError::Interrupted),
                Ended::Outcome(outcome) => self.reference = outcome.verdict.is_pass(),
                _ => self.reference = false,
            }
        }
        Ok(())
    }

    /// Makes sure that the shrunk script fails each time, too.
    fn reproduce(&mut self, what: &str) -> Result<(), ShrinkError> {
        let (text, line) = script(&self.best, self.target);
        let tries = self.plan.confirm.max(1);
        let mut failed = 0;
        for _ in 0..tries {
            self.tries += 1;
            let ended = self.bench.run(&text, Some(line), false, self.limit)?;
            if ended == Ended::Interrupted {
                self.stopped = Some(INTERRUPTED);
                return Ok(());
            }
            failed += u32::from(self.is_same(&ended, line));
        }
        if failed < tries {
            let words = format!("flaky: {what} failed in {failed} of {tries} tries ({})", self.symptom);
            return Err(ShrinkError::Flaky(words));
        }
        Ok(())
    }

    fn is_same(&self, ended: &Ended, line: u64) -> bool {
        failure(ended).is_some_and(|(at, symptom)| at == line && symptom.is_like(&self.symptom, self.loosely))
    }

    /// Whether a script fails the same way; if so, it becomes the best one.
    fn accepts(&mut self, pieces: &[Piece], target: usize) -> Flow<bool> {
        let (text, line) = script(pieces, target);
        let accepted = match self.seen.get(&text) {
            Some(accepted) => *accepted,
            None => match self.fails_so(&text, line) {
                Ok(Some(accepted)) => {
                    self.seen.insert(text, accepted);
                    accepted
                }
                Ok(None) => {
                    self.stopped = Some(INTERRUPTED);
                    return ControlFlow::Break(());
                }
                Err(error) => {
                    self.error = Some(error);
                    return ControlFlow::Break(());
                }
            },
        };
        if accepted {
            self.best = pieces.to_vec();
            self.target = target;
        }
        let records = self.records();
        (self.progress)(self.stage, records, self.tries);
        if self.plan.budget.is_some_and(|budget| self.began.elapsed() > budget) {
            self.stopped = Some("time budget");
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(accepted)
    }

    fn fails_so(&mut self, text: &[u8], line: u64) -> Result<Option<bool>, BenchError> {
        self.tries += 1;
        let ended = self.bench.run(text, Some(line), false, self.limit)?;
        if ended == Ended::Interrupted {
            return Ok(None);
        }
        if !self.is_same(&ended, line) {
            return Ok(Some(false));
        }
        if !self.reference {
            return Ok(Some(true));
        }
        Ok(match self.bench.run(text, Some(line), true, self.limit)? {
            Ended::Interrupted => None,
            Ended::Outcome(outcome) => Some(outcome.verdict.is_pass()),
            _ => Some(false),
        })
    }

    fn work(&mut self) -> Flow<()> {
        loop {
            let before = script(&self.best, self.target).0;
            self.shrink_records()?;
            self.shrink_rows()?;
            self.shrink_sql()?;
            if script(&self.best, self.target).0 == before {
                return ControlFlow::Continue(());
            }
        }
    }

    fn shrink_records(&mut self) -> Flow<()> {
        self.stage = "records";
        let only_statements = |piece: &Piece| piece.kind != Kind::Query;
        // Most records of most files are queries, which change nothing.
        let all: Vec<(bool, Piece)> =
            self.best.iter().enumerate().map(|(index, piece)| (index == self.target, piece.clone())).collect();
        let statements: Vec<_> =
            all.iter().filter(|(is_target, piece)| *is_target || only_statements(piece)).cloned().collect();
        if statements.len() < all.len() {
            self.accepts_marked(&statements)?;
        }
        let (others, target): (Vec<_>, Vec<_>) =
            self.best.clone().into_iter().enumerate().partition(|(index, _)| *index != self.target);
        let Some((at, target)) = target.into_iter().next() else { return ControlFlow::Continue(()) };
        let seed = self.plan.seed;
        reduce(&others, seed, &mut |left| {
            let before = left.iter().take_while(|(index, _)| *index < at).count();
            let mut pieces: Vec<Piece> = left.iter().map(|(_, piece)| piece.clone()).collect();
            pieces.insert(before, target.clone());
            self.accepts(&pieces, before)
        })?;
        ControlFlow::Continue(())
    }

    fn accepts_marked(&mut self, marked: &[(bool, Piece)]) -> Flow<bool> {
        let target = marked.iter().position(|(is_target, _)| *is_target).unwrap_or(0);
        let pieces: Vec<Piece> = marked.iter().map(|(_, piece)| piece.clone()).collect();
        self.accepts(&pieces, target)
    }
}
