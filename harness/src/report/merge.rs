//! The results of several machines as one account.

use std::collections::{BTreeSet, HashMap};

use crate::outcome::{RESULTS_VERSION, Results, Shard};
use crate::summary::{ExitStatus, Summary};

/// What several accounts come to together.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The one account; its workers are numbered on from machine to machine.
    pub results: Results,
    /// What it adds up to, and what is wrong with it: files that are in two accounts, shards that do not fit.
    pub summary: Summary,
}

/// Merges accounts, each with the name that complaints know it by.
///
/// Which shards are missing is noted in the results; what is there twice, or does not belong together, is a defect.
pub fn merge(parts: Vec<(String, Results)>) -> Merged {
    let mut defects = defects(&parts);
    let mut merged = Results { version: RESULTS_VERSION, started_us: u64::MAX, ..Results::default() };
    merged.missing_shards = missing(&parts);
    let [mut ids, mut hosts, mut engines] = [const { Vec::new() }; 3];
    let mut end_us = 0;
    for (_, part) in parts {
        for (list, text) in [(&mut ids, part.run_id), (&mut hosts, part.host), (&mut engines, part.engine)] {
            if !text.is_empty() && !list.contains(&text) {
                list.push(text);
            }
        }
        merged.started_us = merged.started_us.min(part.started_us);
        end_us = end_us.max(part.started_us.saturating_add(part.wall_us));
        merged.filtered_out = merged.filtered_out.saturating_add(part.filtered_out);
        merged.seed = merged.seed.or(part.seed);
        let before = merged.workers;
        let highest = part.outcomes.iter().map(|outcome| outcome.worker).max().unwrap_or(0);
        merged.workers = before.saturating_add(part.workers.max(highest));
        merged.outcomes.extend(part.outcomes.into_iter().map(|mut outcome| {
            for worker in outcome.earlier.iter_mut().map(|attempt| &mut attempt.worker).chain([&mut outcome.worker]) {
                // 0 is a process by itself, which has no number.
                *worker = if *worker > 0 { worker.saturating_add(before) } else { 0 };
            }
            outcome
        }));
    }
    merged.started_us = if merged.started_us == u64::MAX { 0 } else { merged.started_us };
    merged.wall_us = end_us.saturating_sub(merged.started_us);
    (merged.run_id, merged.host, merged.engine) = (ids.join("+"), hosts.join(", "), engines.join(", "));
    let planned = merged.outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass));
    let mut summary = Summary::new(planned.collect::<BTreeSet<_>>(), &merged.outcomes);
    // What is there twice has been told with the names of the files it is in.
    if defects.is_empty() {
        defects.append(&mut summary.defects);
    }
    summary.defects = defects;
    (merged.total, merged.categories) = (summary.total, summary.categories.clone());
    Merged { results: merged, summary }
}

/// What keeps these accounts from being parts of one.
fn defects(parts: &[(String, Results)]) -> Vec<String> {
    let mut defects = Vec::new();
    let mut seen: HashMap<(&str, u32), &str> = HashMap::new();
    let mut shards: HashMap<u32, &str> = HashMap::new();
    for (name, part) in parts {
        let planned = part.total.planned;
        if planned != part.outcomes.len() as u64 || planned != part.total.accounted() {
            let outcomes = part.outcomes.len();
            defects.push(format!("`{name}` plans {planned} files and holds {outcomes} outcomes"));
        }
        for outcome in &part.outcomes {
            if let Some(other) = seen.insert((&outcome.name, outcome.pass), name) {
                defects.push(format!("`{}` is in `{other}` and in `{name}`", outcome.name));
            }
        }
        for missing in &part.missing_shards {
            defects.push(format!("`{name}` was merged without shard {} of {}", missing.index, missing.of));
        }
        let of = parts[0].1.shard.map(|shard| shard.of);
        if part.shard.map(|shard| shard.of) != of {
            let first = &parts[0].0;
            defects.push(format!(
                "{} of `{name}` and {} of `{first}` do not belong together",
                kind(part),
                kind(&parts[0].1)
            ));
        }
        if let Some(Shard { index, of }) = part.shard {
            if index == 0 || index > of {
                defects.push(format!("`{name}` is shard {index} of {of}, which there cannot be"));
            }
            if let Some(other) = shards.insert(index, name) {
                defects.push(format!("`{other}` and `{name}` are both shard {index}"));
            }
        }
    }
    defects
}

fn kind(part: &Results) -> String {
    part.shard.map_or_else(|| "the whole suite".to_owned(), |shard| format!("shard {} of {}", shard.index, shard.of))
}

/// The shards that no account is of.
fn missing(parts: &[(String, Results)]) -> Vec<Shard> {
    let shards: Vec<Shard> = parts.iter().filter_map(|(_, part)| part.shard).collect();
    let of = shards.iter().map(|shard| shard.of).max().unwrap_or(0);
    let absent = (1..=of).filter(|index| shards.iter().all(|shard| shard.index != *index));
    absent.map(|index| Shard { index, of }).collect()
}

impl Merged {
    /// The exit code, as a run with these outcomes has it; a missing shard is never green.
    pub fn exit_status(&self, allow_incomplete: bool) -> ExitStatus {
        match self.summary.exit_status(allow_incomplete) {
            ExitStatus::Passed if !self.results.missing_shards.is_empty() => ExitStatus::Incomplete,
            status => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Verdict};

    fn part(name: &str, shard: Option<(u32, u32)>, outcomes: Vec<Outcome>) -> (String, Results) {
        let summary = Summary::new(outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.pass)), &outcomes);
        let results = Results {
            version: RESULTS_VERSION,
            run_id: format!("run-{name}"),
            workers: 2,
            started_us: 1_000_000,
            wall_us: 500_000,
            shard: shard.map(|(index, of)| Shard { index, of }),
            total: summary.total,
            outcomes,
            ..Results::default()
        };
        (format!("{name}.json"), results)
    }

    fn passed(name: &str) -> Outcome {
        Outcome { worker: 1, ..Outcome::new(name, Verdict::Passed) }
    }

    #[test]
    fn only_all_shards_are_green() {
        let one = part("a", Some((1, 2)), vec![passed("x/1.test")]);
        let two = part("b", Some((2, 2)), vec![passed("y/2.test")]);
        let merged = merge(vec![one.clone(), two]);
        assert_eq!(merged.exit_status(false), ExitStatus::Passed, "{:?}", merged.summary.defects);
        assert_eq!((merged.results.total.passed, merged.results.workers, merged.results.shard), (2, 4, None));
        assert_eq!(merged.results.run_id, "run-a+run-b");
        assert_eq!(merged.results.outcomes[1].worker, 3, "the second machine's worker 1");
        let alone = merge(vec![one]);
        assert_eq!(alone.results.missing_shards, [Shard { index: 2, of: 2 }]);
        assert_eq!(alone.exit_status(true), ExitStatus::Incomplete);
        let failed = part("a", Some((1, 2)), vec![Outcome::new("x/1.test", Verdict::Failed)]);
        assert_eq!(merge(vec![failed]).exit_status(false), ExitStatus::Failed);
    }

    #[test]
    fn what_does_not_belong_together_is_named() {
        let shard = |name, index, of, file| part(name, Some((index, of)), vec![passed(file)]);
        let mut torn = part("a", None, vec![passed("1")]);
        torn.1.total.planned = 2;
        for (parts, words) in [
            (vec![shard("a", 1, 2, "1"), shard("b", 2, 2, "1")], "`1` is in `a.json` and in `b.json`"),
            (vec![shard("a", 1, 2, "1"), shard("b", 1, 2, "2")], "`a.json` and `b.json` are both shard 1"),
            (vec![shard("a", 1, 2, "1"), shard("b", 2, 3, "2")], "do not belong together"),
            (vec![shard("a", 1, 1, "1"), part("b", None, vec![passed("2")])], "the whole suite of `b.json`"),
            (vec![shard("a", 3, 2, "1")], "shard 3 of 2"),
            (vec![torn], "`a.json` plans 2 files and holds 1 outcomes"),
        ] {
            let merged = merge(parts);
            assert_eq!(merged.exit_status(true), ExitStatus::Broken);
            let defects = merged.summary.defects.join("\n");
            assert!(defects.contains(words), "{defects}");
        }
    }
}
