//! Merges the results of several machines.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::words::{count, first_line};
use crate::outcome::{Outcome, RESULTS_VERSION, Results, Scope, Shard, Split, Verdict};
use crate::summary::{ExitStatus, Summary};

/// The merged results, with their summary.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The results; workers are renumbered across machines. Files of missing shards are not run.
    pub results: Results,
    /// The summary. Its defects are files that are in two results, and shards that do not fit together.
    pub summary: Summary,
}

/// Merges results, each with its name for messages.
///
/// Missing shards are recorded in the results; duplicates, and results that do not belong together, are defects.
pub fn merge(parts: Vec<(String, Results)>) -> Merged {
    let mut defects = defects(&parts);
    let mut merged = Results { version: RESULTS_VERSION, started_us: u64::MAX, ..Results::default() };
    merged.missing_shards = missing(&parts);
    let absent = not_run(&parts, &merged.missing_shards);
    merged.scope = scope(&parts);
    if let [(_, first), others @ ..] = parts.as_slice() {
        let same = others.iter().all(|(_, part)| part.target == first.target);
        merged.target = if same { first.target.clone() } else { String::new() };
    }
    let [mut ids, mut hosts, mut engines] = [const { Vec::new() }; 3];
    let mut end_us = 0;
    for (_, part) in parts {
        merged.filtered_out = match outside(&part) {
            // Every shard has filtered out the same files, plus those of the other shards.
            Some(outside) => merged.filtered_out.max(outside),
            None => merged.filtered_out.saturating_add(part.filtered_out),
        };
        for (list, text) in [(&mut ids, part.run_id), (&mut hosts, part.host), (&mut engines, part.engine)] {
            if !text.is_empty() && !list.contains(&text) {
                list.push(text);
            }
        }
        merged.started_us = merged.started_us.min(part.started_us);
        end_us = end_us.max(part.started_us.saturating_add(part.wall_us));
        merged.seed = merged.seed.or(part.seed);
        let before = merged.workers;
        let highest = part.outcomes.iter().map(|outcome| outcome.worker).max().unwrap_or(0);
        merged.workers = before.saturating_add(part.workers.max(highest));
        merged.outcomes.extend(part.outcomes.into_iter().map(|mut outcome| {
            for worker in outcome.earlier.iter_mut().map(|attempt| &mut attempt.worker).chain([&mut outcome.worker]) {
                // 0 means a process without a number.
                *worker = if *worker > 0 { worker.saturating_add(before) } else { 0 };
            }
            outcome
        }));
    }
    merged.outcomes.extend(absent);
    merged.started_us = if merged.started_us == u64::MAX { 0 } else { merged.started_us };
    merged.wall_us = end_us.saturating_sub(merged.started_us);
    (merged.run_id, merged.host, merged.engine) = (ids.join("+"), hosts.join(", "), engines.join(", "));
    let planned = merged.outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass));
    let mut summary = Summary::new(planned.collect::<BTreeSet<_>>(), &merged.outcomes);
    // Duplicates have been reported with the names of their files.
    if defects.is_empty() {
        defects.append(&mut summary.defects);
    }
    summary.defects = defects;
    (merged.total, merged.categories) = (summary.total, summary.categories.clone());
    Merged { results: merged, summary }
}

/// The scope that all results share, apart from their shards; `None` if they differ.
fn scope(parts: &[(String, Results)]) -> Option<Scope> {
    let scopes: Vec<&Scope> = parts.iter().map(|(_, part)| part.scope.as_ref()).collect::<Option<_>>()?;
    let first = scopes.first()?;
    let same = scopes.iter().all(|scope| (&scope.roots, &scope.filter) == (&first.roots, &first.filter));
    let suite = scopes.iter().filter_map(|scope| scope.suite).max();
    same.then(|| Scope { suite, ..(*first).clone() })
}

/// How many files are in no shard, because filters left them out; `None` if the results are not a shard's.
fn outside(part: &Results) -> Option<u64> {
    let (shard, split) = (part.shard?, part.split.as_ref()?);
    let elsewhere = split.files.saturating_sub(split.part(shard).len() as u64);
    Some(part.filtered_out.saturating_sub(elsewhere))
}

/// Why these results are not parts of one run.
fn defects(parts: &[(String, Results)]) -> Vec<String> {
    let mut defects = Vec::new();
    let mut seen: HashMap<(&str, u32), &str> = HashMap::new();
    let mut shards: HashMap<u32, &str> = HashMap::new();
    for (name, part) in parts {
        defects.extend(part.check().into_iter().map(|found| format!("`{name}` {found}")));
        for outcome in &part.outcomes {
            if let Some(other) = seen.insert((&outcome.name, outcome.pass), name) {
                defects.push(format!("`{}` is in `{other}` and in `{name}`", outcome.name));
            }
        }
        for missing in &part.missing_shards {
            defects.push(format!("`{name}` was merged without shard {} of {}", missing.index, missing.of));
        }
        let (first_name, first) = &parts[0];
        if part.shard.map(|shard| shard.of) != first.shard.map(|shard| shard.of) {
            let (ours, theirs) = (kind(part), kind(first));
            defects.push(format!("{ours} of `{name}` and {theirs} of `{first_name}` do not belong together"));
        } else if let Some(defect) = apart(name, part, first_name, first) {
            defects.push(defect);
        }
        if let Some(shard) = part.shard {
            let Shard { index, of } = shard;
            if index == 0 || index > of {
                defects.push(format!("`{name}` is shard {index} of {of}, which there cannot be"));
            }
            if let Some(other) = shards.insert(index, name) {
                defects.push(format!("`{other}` and `{name}` are both shard {index} of {of}"));
            }
            defects.extend(wrong_files(name, part, shard));
        }
    }
    defects
}

fn kind(part: &Results) -> String {
    part.shard.map_or_else(|| "the whole suite".to_owned(), |shard| format!("shard {} of {}", shard.index, shard.of))
}

/// Why a shard does not belong to the same run as the first one of the same split.
fn apart(name: &str, part: &Results, first_name: &str, first: &Results) -> Option<String> {
    // A defect that concerns one shard alone is reported elsewhere.
    let sound = |part: &Results| part.split.clone().filter(Split::is_intact);
    let (ours, theirs) = (sound(part)?, sound(first)?);
    if part.engine != first.engine {
        let (ours, theirs) = (first_line(&part.engine, 40), first_line(&first.engine, 40));
        return Some(format!("`{name}` was run on {ours}, and `{first_name}` on {theirs}"));
    }
    if (ours.files, &ours.hash) != (theirs.files, &theirs.hash) {
        let (mine, other): (BTreeSet<&str>, BTreeSet<&str>) =
            (ours.names().into_iter().collect(), theirs.names().into_iter().collect());
        let extra = match (mine.difference(&other).next(), other.difference(&mine).next()) {
            (Some(file), _) => format!(": `{file}` is only in the suite of `{name}`"),
            (None, Some(file)) => format!(": `{file}` is only in the suite of `{first_name}`"),
            (None, None) => String::new(),
        };
        let (mine, other) = (count(ours.files, "file"), theirs.files);
        return Some(format!(
            "`{name}` is part of a suite of {mine}, and `{first_name}` of another, of {other}{extra}"
        ));
    }
    let (mine, other) = (places(&ours), places(&theirs));
    let ((file, mine), (_, other)) = mine.iter().zip(&other).find(|(mine, other)| mine != other)?;
    Some(format!(
        "`{name}` and `{first_name}` were shared out by different histories: `{file}` is in shard {mine} by the one and \
         in shard {other} by the other; every machine needs the same history"
    ))
}

/// The number of each file's shard.
fn places(split: &Split) -> BTreeMap<&str, usize> {
    let shards = split.shards.iter().zip(1..);
    shards.flat_map(|(names, index)| names.iter().map(move |name| (name.as_str(), index))).collect()
}

/// What is wrong with the files that a shard has run.
fn wrong_files(name: &str, part: &Results, shard: Shard) -> Option<String> {
    let Shard { index, of } = shard;
    let Some(split) = &part.split else {
        return Some(format!("`{name}` is shard {index} of {of} and does not say of which suite: run it again"));
    };
    if split.shards.len() != of as usize || !split.is_intact() {
        return Some(format!("`{name}` is shard {index} of {of}, but its list of all files does not add up"));
    }
    let planned: BTreeSet<&str> = split.part(shard).iter().map(String::as_str).collect();
    let there: BTreeSet<&str> = part.outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
    if let Some(file) = planned.difference(&there).next() {
        return Some(format!("`{name}` is shard {index} of {of} and has no outcome of `{file}`"));
    }
    there
        .difference(&planned)
        .next()
        .map(|file| format!("`{name}` is shard {index} of {of}, and `{file}` is not in it"))
}

/// The shards without results.
fn missing(parts: &[(String, Results)]) -> Vec<Shard> {
    let shards: Vec<Shard> = parts.iter().filter_map(|(_, part)| part.shard).collect();
    let of = shards.iter().map(|shard| shard.of).max().unwrap_or(0);
    // A number of shards above the maximum is a defect, which needs no list of shards.
    let absent = (1..=of.min(Shard::MOST)).filter(|index| shards.iter().all(|shard| shard.index != *index));
    absent.map(|index| Shard { index, of }).collect()
}

/// Outcomes for the files of missing shards.
fn not_run(parts: &[(String, Results)], missing: &[Shard]) -> Vec<Outcome> {
    let Some(split) = parts.iter().find_map(|(_, part)| part.split.as_ref()) else { return Vec::new() };
    let outcomes = missing.iter().flat_map(|shard| {
        let reason = format!("shard {} of {} is missing", shard.index, shard.of);
        split.part(*shard).iter().map(move |file| Outcome::new(file, Verdict::NotRun { reason: reason.clone() }))
    });
    outcomes.collect()
}

impl Merged {
    /// The exit code of a run with these outcomes; with a missing shard it is never green.
    pub fn exit_status(&self, allow_incomplete: bool) -> ExitStatus {
        match self.summary.exit_status(allow_incomplete) {
            ExitStatus::Passed if !self.results.missing_shards.is_empty() => ExitStatus::Incomplete,
            status => status,
        }
    }

    /// A line for each missing shard: how many files it has, and the first of them.
    pub fn missing(&self) -> Vec<String> {
        let line = |shard: &Shard| {
            let words = format!("shard {} of {} is missing", shard.index, shard.of);
            let files = self.results.outcomes.iter().filter(|outcome| match &outcome.verdict {
                Verdict::NotRun { reason } => *reason == words,
                _ => false,
            });
            let names: Vec<&str> = files.map(|outcome| outcome.name.as_str()).collect();
            let shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > MOST_NAMES { ", …" } else { "" };
            match names.len() {
                0 => format!("{words}, which has no files"),
                number => format!("{words}: {} not run: {}{more}", count(number as u64, "file"), shown.join(", ")),
            }
        };
        self.results.missing_shards.iter().map(line).collect()
    }
}

/// How many files of a missing shard are named.
const MOST_NAMES: usize = 5;

#[cfg(test)]
mod tests;
