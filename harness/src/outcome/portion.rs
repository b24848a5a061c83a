//! The part of its suite that a run covered.

use std::collections::BTreeSet;
use std::fmt;

use super::{Results, Scope, Shard};
use crate::suite::Filter;

/// How many filters [`Portion`] names.
const MOST_FILTERS: usize = 3;

/// The part of a suite that a run covered. Its text is ``1 of 360 files (filter: `joins`)``.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Portion {
    files: u64,
    suite: Option<u64>,
    filter: Filter,
    shard: Option<Shard>,
}

impl Results {
    /// The part of its suite that the run covered; `None` if that was the whole suite.
    pub fn portion(&self) -> Option<Portion> {
        let files = self.names().len() as u64;
        match &self.scope {
            Some(scope) => {
                let Scope { suite, filter, .. } = scope.clone();
                let shard = self.shard.filter(|shard| shard.of > 1);
                (shard.is_some() || !filter.is_empty()).then_some(Portion { files, suite, filter, shard })
            }
            // An earlier release stores only how many files were left out.
            None => (self.filtered_out > 0).then(|| Portion {
                files,
                suite: Some(files.saturating_add(self.filtered_out)),
                shard: self.shard,
                ..Portion::default()
            }),
        }
    }

    /// The names of the files that the run covered, whether they ran or not.
    pub fn names(&self) -> BTreeSet<&str> {
        self.outcomes.iter().map(|outcome| outcome.name.as_str()).collect()
    }

    /// Whether the run would have covered a file of this name, if the suite had one.
    pub fn would_have_had(&self, name: &str) -> bool {
        let elsewhere = |(shard, split): (&Shard, &super::Split)| {
            let is_in = |names: &[String]| names.binary_search_by(|other| other.as_str().cmp(name)).is_ok();
            !is_in(split.part(*shard)) && split.shards.iter().any(|names| is_in(names))
        };
        match &self.scope {
            Some(scope) => scope.filter.lets_in_name(name) && !self.shard.iter().zip(&self.split).any(elsewhere),
            None => self.filtered_out == 0,
        }
    }

    /// Whether both runs chose their files the same way: same roots, filters and shard.
    pub fn has_scope_of(&self, other: &Results) -> bool {
        let choice = |results: &Results| {
            let scope = results.scope.clone().unwrap_or_default();
            (scope.roots, scope.filter, results.shard)
        };
        self.scope.is_some() == other.scope.is_some() && choice(self) == choice(other)
    }

    /// Whether both runs have the same suite, as far as known. If so, a file that only one of them has is new or was
    /// removed.
    pub fn has_suite_of(&self, other: &Results) -> bool {
        match (&self.scope, &other.scope) {
            (Some(ours), Some(theirs)) => ours.roots == theirs.roots && self.target == other.target,
            _ => true,
        }
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = |number| if number == 1 { "1 file".to_owned() } else { format!("{number} files") };
        match self.suite {
            Some(suite) => write!(f, "{} of {}", self.files, files(suite))?,
            None => f.write_str(&files(self.files))?,
        }
        let list = |names: &[String]| {
            let mut shown: Vec<String> = names.iter().take(MOST_FILTERS).map(|name| format!("`{name}`")).collect();
            if names.len() > MOST_FILTERS {
                shown.push(format!("{} more", names.len() - MOST_FILTERS));
            }
            shown.join(", ")
        };
        let word = match (self.filter.exact, self.filter.patterns.len()) {
            (true, 1) => "whole name",
            (true, _) => "whole names",
            (false, 1) => "filter",
            (false, _) => "filters",
        };
        let mut choices = Vec::new();
        if !self.filter.patterns.is_empty() {
            choices.push(format!("{word}: {}", list(&self.filter.patterns)));
        }
        if !self.filter.skips.is_empty() {
            choices.push(format!("without: {}", list(&self.filter.skips)));
        }
        if let Some(Shard { index, of }) = self.shard {
            choices.push(format!("shard {index} of {of}"));
        }
        if choices.is_empty() {
            choices.push("others were filtered out".to_owned());
        }
        write!(f, " ({})", choices.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Split, Verdict};

    fn filter(patterns: &[&str], skips: &[&str], exact: bool) -> Filter {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Filter { patterns: own(patterns), skips: own(skips), exact }
    }

    fn results(suite: Option<u64>, filter: Filter, names: &[&str]) -> Results {
        Results {
            scope: Some(Scope { roots: vec!["tests".into()], suite, filter }),
            outcomes: names.iter().map(|&name| Outcome::new(name, Verdict::Passed)).collect(),
            ..Results::default()
        }
    }

    fn portion(results: &Results) -> String {
        results.portion().map(|portion| portion.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_run_of_a_part_says_which() {
        assert_eq!(portion(&results(Some(2), Filter::default(), &["a.test", "b.test"])), "");
        assert_eq!(
            portion(&results(Some(360), filter(&["a"], &[], false), &["a.test"])),
            "1 of 360 files (filter: `a`)"
        );
        let several = filter(&["a", "b", "c", "d"], &["x"], false);
        assert_eq!(
            portion(&results(Some(9), several, &["a.test", "b.test"])),
            "2 of 9 files (filters: `a`, `b`, `c`, 1 more; without: `x`)"
        );
        let named = filter(&["a.test"], &[], true);
        assert_eq!(portion(&results(None, named, &["a.test"])), "1 file (whole name: `a.test`)");
        let mut shard = results(Some(3), Filter::default(), &["a.test"]);
        shard.shard = Some(Shard { index: 1, of: 2 });
        assert_eq!(portion(&shard), "1 of 3 files (shard 1 of 2)");
        let earlier = Results { scope: None, filtered_out: 6, ..shard.clone() };
        assert_eq!(portion(&Results { shard: None, ..earlier }), "1 of 7 files (others were filtered out)");
    }

    #[test]
    fn a_run_is_asked_only_for_the_files_in_its_scope() {
        let mut run = results(Some(9), filter(&["in1"], &["skip"], false), &["evidence/in1.test"]);
        assert!(run.would_have_had("other/in1.test") && run.would_have_had("x/in12.slt"));
        assert!(!run.would_have_had("skip/in1.test") && !run.would_have_had("in2.test"));
        run.shard = Some(Shard { index: 1, of: 2 });
        let other = vec!["other/in1.test".to_owned()];
        run.split = Some(Split::new(vec![vec!["evidence/in1.test".to_owned()], other]));
        assert!(!run.would_have_had("other/in1.test"), "another shard has it");
        assert!(run.would_have_had("gone/in1.test"), "no shard has it any more");
        let earlier = Results { scope: None, ..run };
        assert!(earlier.would_have_had("anything.test"));
        assert!(!Results { filtered_out: 1, ..earlier }.would_have_had("anything.test"));
    }

    #[test]
    fn a_scope_is_the_choice_and_not_what_came_of_it() {
        let all = results(Some(2), Filter::default(), &["a.test", "b.test"]);
        let fewer = results(Some(1), Filter::default(), &["a.test"]);
        assert!(all.has_scope_of(&fewer));
        assert!(!all.has_scope_of(&results(Some(2), filter(&["a"], &[], false), &["a.test"])));
        let mut elsewhere = all.clone();
        elsewhere.scope.as_mut().unwrap().roots = vec!["other".into()];
        assert!(!all.has_suite_of(&elsewhere) && !all.has_scope_of(&elsewhere) && all.has_suite_of(&fewer));
    }

    #[test]
    fn a_scope_survives_json_and_says_only_what_was_chosen() {
        let scope = results(Some(3), filter(&["x"], &[], false), &[]).scope.unwrap();
        let text = serde_json::to_string(&scope).unwrap();
        assert_eq!(text, r#"{"roots":["tests"],"suite":3,"filters":["x"]}"#);
        assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), scope);
    }
}
