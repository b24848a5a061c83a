//! How a second engine ran the files (`--reference`), as text.

use std::fmt::Write;

use crate::outcome::{Compared, Comparison, Outcome};

/// One line with the counts; empty if nothing was compared.
pub fn text<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> String {
    let all = outcomes.into_iter().filter_map(|outcome| outcome.comparison.as_ref());
    Comparison::sum(all).map_or_else(String::new, |sum| format!("{sum}\n"))
}

/// How many records the list shows.
const MOST: usize = 40;

/// The counts, and the first records on which at least one engine is wrong; empty if nothing was compared.
pub fn list<'o>(outcomes: impl IntoIterator<Item = &'o Outcome> + Clone) -> String {
    let mut list = text(outcomes.clone());
    let records: Vec<(&str, &Compared)> = records(outcomes).collect();
    for (reference, record) in records.iter().take(MOST) {
        let _ = write!(list, "  {}: {}", record.place(), record.agrees.words(reference));
        if let Some(message) = record.message.lines().next() {
            let _ = write!(list, ": {message}");
        }
        list.push('\n');
    }
    if records.len() > MOST {
        let _ = writeln!(list, "  … and {} more in results.json", records.len() - MOST);
    }
    list
}

/// The records on which at least one engine is wrong, as far as they are kept, each with the name of the reference.
pub fn records<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> impl Iterator<Item = (&'o str, &'o Compared)> {
    let all = outcomes.into_iter().filter_map(|outcome| outcome.comparison.as_ref());
    all.flat_map(|comparison| comparison.records.iter().map(|record| (comparison.reference.as_str(), record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Agrees, Verdict};

    #[test]
    fn counts_are_summed_and_records_named() {
        let compared = |line, agrees| Compared {
            file: "a.slt".into(),
            line,
            pass: String::new(),
            agrees,
            message: "query failed: no\nsuch".into(),
            diff: String::new(),
        };
        let mut comparison = Comparison { reference: "sqlite".into(), ..Comparison::default() };
        comparison.add(None);
        comparison.add(Some(compared(3, Agrees::OnlyEngine)));
        comparison.add(Some(compared(7, Agrees::NeitherAlike)));
        let lost =
            Comparison { reference: "sqlite".into(), not_compared: 2, why: "gone".into(), ..Comparison::default() };
        let outcomes = [comparison, lost]
            .map(|comparison| Outcome { comparison: Some(comparison), ..Outcome::new("a.slt", Verdict::Passed) });
        let words = "3 records compared with sqlite: 1 as expected on both, 1 only here, 1 on neither, with the same result; \
                     2 not compared (gone)\n";
        assert_eq!(text(&outcomes), words);
        assert_eq!(
            list(&outcomes),
            format!(
                "{words}  a.slt:3: as expected here, and not on sqlite: query failed: no\n  a.slt:7: as expected on neither; sqlite \
                 returns the same as this engine: query failed: no\n"
            )
        );
        assert_eq!(text(&[Outcome::new("a", Verdict::Passed)]), "");
    }
}
