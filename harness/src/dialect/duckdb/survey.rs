//! Checks scripts in DuckDB's dialect: their steps, and which of these the loops ever reach.

use std::collections::HashSet;

use super::{
    Action, Cursor, Event, MOST_RECORDS, Node, Over, Query, Scope, Script, Step, Texts, misspelt_requirement, parse,
};
use crate::dialect::survey::{Kind, Severity, Survey, contradiction, misspelt};
use crate::script::{Labels, ScriptFile, SyntaxError};

/// How many steps of a script are walked through. The loops of a longer script are not checked.
const MOST_STEPS: usize = 100_000;

/// Reads and checks a whole script. The findings are the problems of a script that can be read.
///
/// # Errors
/// The first rule of the dialect that is broken.
pub(super) fn survey(file: &ScriptFile<'_>, text: &[u8]) -> Result<Survey, SyntaxError> {
    let texts = Texts::new(text).map_err(|line| SyntaxError::new(line, "this line is not UTF-8"))?;
    let script = parse(&texts, file.path, file.root, &Labels::undecided())?;
    let mut survey = Survey::default();
    // The first record of those that `mode skip` leaves out, and their number.
    let mut left_out: Option<(&Step<'_>, u64)> = None;
    let all = script.steps();
    for step in &all {
        survey.records += u64::from(step.action.counts());
        match (&step.action, &mut left_out) {
            (Action::Skipped, Some((_, count))) => *count += 1,
            (Action::Skipped, None) => left_out = Some((step, 1)),
            _ => survey.findings.extend(left_out.take().map(skipped)),
        }
        if let Action::Query(Query { sql, expected: None, .. }) = step.action
            && let Some((severity, kind, error)) = misspelt(sql.as_bytes(), step.place.line)
        {
            survey.findings.push((severity, kind, in_its_file(step, error)));
        }
        if let Some(error) = contradiction(&conditions(step), step.place.line) {
            survey.findings.push((Severity::Error, Kind::NeverRuns, in_its_file(step, error)));
        }
        if let Action::Require(words) = &step.action
            && let Some(near) = words.first().and_then(|name| misspelt_requirement(name))
        {
            let message =
                format!("DuckDB knows no `{}`, and without it nothing below runs; did you mean `{near}`?", words[0]);
            let warning = in_its_file(step, SyntaxError::new(step.place.line, message));
            survey.findings.push((Severity::Warning, Kind::NeverRuns, warning));
        }
        if step.action == Action::Halt && step.conditions.is_empty() && step.place.file.is_none() {
            survey.halt = Some(step.place.line);
        }
    }
    survey.findings.extend(left_out.map(skipped));
    walk(&script, &all, &mut survey);
    Ok(survey)
}

fn conditions(step: &Step<'_>) -> Vec<(bool, String)> {
    step.conditions.iter().map(|condition| (condition.skip, condition.word.to_ascii_lowercase())).collect()
}

fn in_its_file(step: &Step<'_>, error: SyntaxError) -> SyntaxError {
    SyntaxError { included_from: step.place.file.clone(), ..error }
}

fn skipped((step, count): (&Step<'_>, u64)) -> (Severity, Kind, SyntaxError) {
    let message = match count {
        1 => "`mode skip` leaves out this record: it never runs".to_owned(),
        _ => format!("`mode skip` leaves out {count} records from here on: they never run"),
    };
    (Severity::Warning, Kind::NeverRuns, in_its_file(step, SyntaxError::new(step.place.line, message)))
}

/// Walks through the loops as a run does, to find what only a walk shows: conditions that cannot be evaluated, loops over
/// nothing, and records that no pass reaches.
fn walk(script: &Script<'_>, all: &[&Step<'_>], survey: &mut Survey) {
    if script.nodes.iter().any(depends_on_a_run) {
        return;
    }
    let (mut left, mut reached) = (MOST_STEPS, HashSet::new());
    match reach(Cursor::new(script, MOST_RECORDS), &mut left, &mut reached) {
        Ok(true) => {
            let runnable = all.iter().filter(|step| matches!(step.action, Action::Statement(_) | Action::Query(_)));
            for step in runnable.filter(|step| !reached.contains(&std::ptr::from_ref(**step).cast())) {
                let message = "no pass of the loops around it reaches this record: it can never run";
                let error = in_its_file(step, SyntaxError::new(step.place.line, message));
                survey.findings.push((Severity::Error, Kind::NeverRuns, error));
            }
        }
        Ok(false) => {}
        Err(error) => survey.findings.push((Severity::Error, Kind::Syntax, error)),
    }
}

/// Enters the steps that a cursor reaches; returns whether the cursor reached its end within `left` steps.
fn reach(mut cursor: Cursor<'_, '_>, left: &mut usize, reached: &mut HashSet<*const u8>) -> Result<bool, SyntaxError> {
    while let Some(event) = cursor.next(&mut Words)? {
        if *left == 0 {
            return Ok(false);
        }
        *left -= 1;
        match event {
            Event::Step(step) => {
                reached.insert(std::ptr::from_ref(step).cast());
            }
            Event::Skipped(_) => {}
            Event::Together(mut passes) => {
                while let Some(pass) = passes.next_pass()? {
                    if !reach(pass, left, reached)? {
                        return Ok(false);
                    }
                }
            }
        }
    }
    Ok(true)
}

/// Whether a loop's words are known only during a run.
fn depends_on_a_run(node: &Node<'_>) -> bool {
    match node {
        Node::Step(_) => false,
        Node::Loop(of) => {
            let of_run = |word: &&str| word.contains('{') || word.contains("__") || word.starts_with("<variable:");
            matches!(&of.over, Over::Words(words) if words.iter().any(of_run)) || of.body.iter().any(depends_on_a_run)
        }
    }
}

/// Leaves words unchanged.
struct Words;

impl Scope for Words {
    fn replace(&self, word: &str) -> Result<String, String> {
        Ok(word.to_owned())
    }

    fn list(&mut self, _: Option<&str>, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}
