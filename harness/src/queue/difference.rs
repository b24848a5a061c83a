//! Describes the differences between the plan of a run and that of a process that wants to join it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, QueueError};

/// How many files of each kind are named.
const MOST_NAMES: usize = 5;

/// The error that says why a process with the plan `ours` cannot take part in run `run`, which has the plan `theirs`.
pub(super) fn other_run(queue: &str, run: &str, theirs: &Plan, ours: &Plan) -> QueueError {
    let differs = differences(theirs, ours).join("; ");
    QueueError::OtherPlan { queue: queue.to_owned(), run: run.to_owned(), differs }
}

/// All differences between two plans, each as a fragment; never empty.
pub(super) fn differences(theirs: &Plan, ours: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let (here, there) = (files(ours), files(theirs));
    let without = |a: &BTreeMap<&str, File>, b: &BTreeMap<&str, File>| {
        names(a.keys().filter(|name| !b.contains_key(*name)).copied())
    };
    for (list, verb, place) in [(without(&there, &here), "is", "there"), (without(&here, &there), "is", "here")] {
        if let Some((list, count)) = list {
            found.push(format!("{list} {} only {place}", if count == 1 { verb } else { "are" }));
        }
    }
    let both: Vec<(&str, File, File)> =
        here.iter().filter_map(|(name, ours)| Some((*name, *ours, *there.get(name)?))).collect();
    if let Some((_, ours, theirs)) = both.iter().find(|(_, ours, theirs)| ours.passes != theirs.passes) {
        found.push(format!("it has {} of the files, and here are {}", passes(theirs.passes), passes(ours.passes)));
    }
    let changed = both.iter().filter(|(_, ours, theirs)| ours.content != theirs.content).map(|(name, ..)| *name);
    if let Some((list, count)) = names(changed) {
        let verb = if count == 1 { "differs" } else { "differ" };
        found.push(format!("{list} {verb} in contents, includes or dialect"));
    }
    let (theirs, ours) = (theirs.settings(), ours.settings());
    let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for key in keys.into_iter().filter(|key| theirs.get(*key) != ours.get(*key)) {
        let shown = |value: Option<&String>| value.map_or_else(|| "not given".to_owned(), |value| format!("`{value}`"));
        found.push(format!("`{key}` is {} there and {} here", shown(theirs.get(key)), shown(ours.get(key))));
    }
    if found.is_empty() {
        found.push("it was planned in another way".to_owned());
    }
    found
}

/// A file of a plan: how many passes it has, and its content.
#[derive(Clone, Copy, Default)]
struct File<'p> {
    passes: u32,
    content: Option<&'p str>,
}

/// The files of a plan by name.
fn files(plan: &Plan) -> BTreeMap<&str, File<'_>> {
    let mut files = BTreeMap::<&str, File<'_>>::new();
    for (index, entry) in plan.entries().iter().enumerate() {
        let file = files.entry(entry.name.as_str()).or_default();
        file.passes += 1;
        file.content = plan.content(index);
    }
    files
}

fn passes(count: u32) -> String {
    if count == 1 { "1 pass".to_owned() } else { format!("{count} passes") }
}

/// The first of these names, and their number; `None` if there are none.
fn names<'n>(names: impl Iterator<Item = &'n str>) -> Option<(String, usize)> {
    let names: Vec<&str> = names.collect();
    let shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MOST_NAMES { format!(" and {} more", names.len() - MOST_NAMES) } else { String::new() };
    (!names.is_empty()).then(|| (shown.join(", ") + &more, names.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{PlanEntry, Settings};

    fn plan(files: &[(&str, &str)], passes: u32, settings: &[(&str, &str)]) -> Plan {
        let entries = (1..=passes).flat_map(|pass| files.iter().map(move |(name, _)| PlanEntry::new(*name, pass)));
        let contents = (0..passes).flat_map(|_| files.iter().map(|(_, content)| (*content).to_owned()));
        let settings: Settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Plan::new(entries.collect()).unwrap().with_contents(contents.collect()).with_settings(settings)
    }

    #[test]
    fn every_difference_is_named() {
        let theirs = plan(&[("a", "1"), ("b", "1"), ("c", "1")], 2, &[("engine", "one"), ("--label", "x")]);
        let ours = plan(&[("b", "2"), ("c", "1"), ("d", "1")], 1, &[("engine", "two"), ("--fail-fast", "on")]);
        assert_eq!(
            differences(&theirs, &ours),
            [
                "`a` is only there",
                "`d` is only here",
                "it has 2 passes of the files, and here are 1 pass",
                "`b` differs in contents, includes or dialect",
                "`--fail-fast` is not given there and `on` here",
                "`--label` is `x` there and not given here",
                "`engine` is `one` there and `two` here",
            ]
        );
        let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        assert_eq!(
            differences(&plan(&many, 1, &[]), &plan(&[], 1, &[])),
            ["`0`, `1`, `2`, `3`, `4` and 3 more are only there"]
        );
    }
}
