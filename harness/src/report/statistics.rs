//! Where the time of a run went, in a few lines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::words::time;
use crate::outcome::{Counts, Outcome};

/// Statistics are numbers that show whether a run could have been faster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Files and records.
    pub counts: Counts,
    /// The time from the first claim to the last outcome.
    pub wall: Duration,
    /// How many workers there were.
    pub workers: u32,
    /// The sum of the times of all trials.
    pub busy: Duration,
    /// The part of `busy` inside the engine.
    pub engine: Duration,
    /// The longest trial and its name.
    pub longest: Option<(String, Duration)>,
}

impl Statistics {
    /// The statistics of a run with these outcomes.
    pub fn new<'o>(counts: Counts, wall: Duration, workers: u32, outcomes: impl Iterator<Item = &'o Outcome>) -> Self {
        let mut statistics = Statistics { counts, wall, workers: workers.max(1), ..Statistics::default() };
        for outcome in outcomes {
            statistics.busy += outcome.wall();
            statistics.engine += Duration::from_micros(outcome.engine_us);
            // An outcome without a time did not run.
            if statistics.longest.as_ref().map_or(Duration::ZERO, |(_, longest)| *longest) < outcome.wall() {
                statistics.longest = Some((outcome.name.clone(), outcome.wall()));
            }
        }
        statistics
    }

    /// Busy time divided by the time of all workers, between 0 and 1.
    pub fn utilisation(&self) -> f64 {
        ratio(self.busy, self.wall * self.workers)
    }

    /// The lower bound of the wall time for any order of the files: the time of the longest file, or an equal share of all.
    pub fn lower_bound(&self) -> Duration {
        let longest = self.longest.as_ref().map_or(Duration::ZERO, |(_, longest)| *longest);
        longest.max(self.busy / self.workers)
    }

    /// The numbers as text, one per line; with `timings` also where the time of the run went.
    pub fn text(&self, timings: bool) -> String {
        let Counts { passed, known_failures, ignored, not_run, records, .. } = self.counts;
        let failed = self.counts.failures();
        let known = match known_failures {
            0 => String::new(),
            1 => "1 known failure, ".to_owned(),
            known => format!("{known} known failures, "),
        };
        let mut text =
            format!("files     {passed} passed, {failed} failed, {known}{ignored} ignored, {not_run} not run\n");
        let _ = writeln!(
            text,
            "records   {} passed, {} failed, {} skipped",
            records.passed, records.failed, records.skipped
        );
        if !timings {
            return text;
        }
        let _ = writeln!(
            text,
            "time      {} in the engine, {} in the harness",
            time(self.engine),
            time(self.busy.saturating_sub(self.engine))
        );
        let _ = writeln!(
            text,
            "workers   {}, busy {:.1} % of {}",
            self.workers,
            self.utilisation() * 100.0,
            time(self.wall)
        );
        if let Some((name, longest)) = &self.longest {
            let bound = self.lower_bound();
            let _ = writeln!(
                text,
                "makespan  {:.3} times the least possible ({}; longest file: {name}, {})",
                ratio(self.wall, bound),
                time(bound),
                time(*longest)
            );
        }
        text
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

/// How often each file passed and failed over several passes, as text: a line for all, and one for each that failed.
///
/// Empty if there was only one pass.
pub fn passes<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> String {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut last = 1;
    for outcome in outcomes {
        last = last.max(outcome.pass);
        let (passed, failed) = counts.entry(&outcome.name).or_default();
        *passed += u32::from(outcome.verdict.is_pass());
        *failed += u32::from(outcome.verdict.is_failure());
    }
    if last == 1 {
        return String::new();
    }
    let failed_once: Vec<_> = counts.iter().filter(|(_, (_, failed))| *failed > 0).collect();
    let unstable = failed_once.iter().filter(|(_, (passed, _))| *passed > 0).count();
    let mut text = format!(
        "passes    {last} started; files: {} never failed, {} always, {unstable} unstable\n",
        counts.len() - failed_once.len(),
        failed_once.len() - unstable
    );
    for (name, (passed, failed)) in failed_once {
        let word = if *passed > 0 { "unstable" } else { "failing " };
        let _ = writeln!(text, "{word}  {name}: passed {passed}, failed {failed}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    fn outcome(name: &str, verdict: Verdict, wall_us: u64) -> Outcome {
        Outcome { wall_us, engine_us: wall_us / 2, ..Outcome::new(name, verdict) }
    }

    #[test]
    fn the_bound_is_the_longest_file_or_an_even_share() {
        let outcomes = [outcome("a", Verdict::Passed, 3_000_000), outcome("b", Verdict::Failed, 1_000_000)];
        let statistics = |workers| Statistics::new(Counts::default(), Duration::from_secs(4), workers, outcomes.iter());
        assert_eq!(statistics(1).lower_bound(), Duration::from_secs(4));
        assert_eq!(statistics(2).lower_bound(), Duration::from_secs(3));
        assert!((statistics(2).utilisation() - 0.5).abs() < 1e-9);
        let text = statistics(2).text(true);
        insta::assert_snapshot!(text, @r"
        files     0 passed, 0 failed, 0 ignored, 0 not run
        records   0 passed, 0 failed, 0 skipped
        time      2.00 s in the engine, 2.00 s in the harness
        workers   2, busy 50.0 % of 4.00 s
        makespan  1.333 times the least possible (3.00 s; longest file: a, 3.00 s)
        ");
        assert_eq!(statistics(2).text(false), text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>());
        let counts = Counts { passed: 2, failed: 1, known_failures: 3, ..Counts::default() };
        let text = Statistics::new(counts, Duration::ZERO, 1, outcomes.iter()).text(true);
        assert!(text.starts_with("files     2 passed, 1 failed, 3 known failures, 0 ignored, 0 not run\n"), "{text}");
    }

    #[test]
    fn a_run_of_nothing_has_no_makespan() {
        let outcomes = [outcome("a", Verdict::NotRun { reason: "interrupted".into() }, 0)];
        let statistics = Statistics::new(Counts::default(), Duration::from_secs(1), 2, outcomes.iter());
        assert_eq!(statistics.text(true).lines().last(), Some("workers   2, busy 0.0 % of 1.00 s"));
    }

    #[test]
    fn every_file_is_in_the_first_line() {
        let counts = Counts { passed: 1, crashed: 2, timed_out: 3, ignored: 4, not_run: 5, ..Counts::default() };
        let line = |counts| {
            Statistics { counts, workers: 1, ..Statistics::default() }.text(true).lines().next().map(str::to_owned)
        };
        assert_eq!(line(counts).unwrap(), "files     1 passed, 5 failed, 4 ignored, 5 not run");
        let known = Counts { known_failures: 6, ..counts };
        assert_eq!(line(known).unwrap(), "files     1 passed, 5 failed, 6 known failures, 4 ignored, 5 not run");
    }

    #[test]
    fn a_file_that_passed_and_failed_is_unstable() {
        let in_pass = |pass, name: &str, verdict| Outcome { pass, ..outcome(name, verdict, 1) };
        let outcomes = [
            in_pass(1, "a", Verdict::Passed),
            in_pass(2, "a", Verdict::Failed),
            in_pass(1, "b", Verdict::Failed),
            in_pass(2, "b", Verdict::Failed),
            in_pass(1, "c", Verdict::Passed),
            in_pass(2, "c", Verdict::Passed),
        ];
        let expected = "\
passes    2 started; files: 1 never failed, 1 always, 1 unstable
unstable  a: passed 1, failed 1
failing   b: passed 0, failed 2
";
        assert_eq!(passes(outcomes.iter()), expected);
        assert_eq!(passes(outcomes[..1].iter()), "");
    }
}
