//! The directives that take one line.

use crate::script::source::quote;
use std::time::Duration;

use super::{Flow, Parser, error_at, include};
use crate::dialect::duckdb::{Action, Condition, Load, Loop, Node, Over, Place, Step, lists, require};
use crate::dialect::{Dialect, foreign};
use crate::script::SyntaxError;

/// All directives.
const KNOWN: &[&str] = &[
    "skipif",
    "onlyif",
    "statement",
    "query",
    "hash-threshold",
    "halt",
    "mode",
    "set",
    "reset",
    "loop",
    "concurrentloop",
    "foreach",
    "concurrentforeach",
    "endloop",
    "continue",
    "require",
    "require-env",
    "test-env",
    "load",
    "restart",
    "reconnect",
    "sleep",
    "unzip",
    "include",
    "tags",
];

/// Whether a line may begin with `word`, which `rest` follows.
pub(super) fn is_known(word: &str, rest: &[&str], place: &Place) -> Result<(), SyntaxError> {
    if KNOWN.contains(&word) {
        return Ok(());
    }
    if let Some(error) = foreign::of_words(place.line, &[&[word], rest].concat(), Dialect::DuckDb) {
        return Err(SyntaxError { included_from: place.file.clone(), ..error });
    }
    let near = KNOWN.iter().map(|known| (strsim::osa_distance(known, word), known)).min();
    let hint = match (word, near) {
        ("endif" | "endfor" | "end", _) => "; a loop ends with `endloop`".to_owned(),
        (_, Some((distance, near))) if distance <= 2 => format!("; did you mean `{near}`?"),
        _ if word.starts_with('#') => "; a comment begins in the first column".to_owned(),
        _ => "; a record begins with `statement`, `query` or another directive, behind an empty line".to_owned(),
    };
    Err(error_at(place, format!("unknown directive {}{hint}", quote(word.as_bytes()))))
}

/// The word that opens a loop.
pub(super) fn loop_word(open: &Loop<'_>) -> &'static str {
    match (&open.over, open.concurrent) {
        (Over::Range(..), false) => "loop",
        (Over::Range(..), true) => "concurrentloop",
        (Over::Words(_), false) => "foreach",
        (Over::Words(_), true) => "concurrentforeach",
    }
}

impl<'a> Parser<'a, '_> {
    pub(super) fn directive(
        &mut self,
        line: &'a str,
        word: &'a str,
        rest: &[&'a str],
        conditions: Vec<Condition<'a>>,
        place: Place,
    ) -> Result<Flow, SyntaxError> {
        is_known(word, rest, &place)?;
        if word == "mode" {
            return self.mode(rest, conditions, place).map(|()| Flow::GoesOn);
        }
        if self.skipping.is_some() {
            return Ok(Flow::GoesOn);
        }
        match word {
            "loop" | "concurrentloop" | "foreach" | "concurrentforeach" => self.open(word, rest, place)?,
            "endloop" => self.close(&place)?,
            "include" => return self.include(rest, &place),
            _ => {
                let (action, once) = action(line, word, rest).map_err(|message| error_at(&place, message))?;
                let halts = action == Action::Halt;
                if action == Action::Continue && self.open.is_empty() {
                    return Err(error_at(&place, "`continue` outside of loops: delete it, or write `halt`"));
                }
                if let Some(open) = self.open.first() {
                    let (what, line) = (loop_word(open), open.place.line);
                    if matches!(action, Action::Halt | Action::RequireEnv(..) | Action::TestEnv(..)) {
                        let message = format!("`{word}` inside the `{what}` of line {line}: write it outside of loops");
                        return Err(error_at(&place, message));
                    }
                    self.fits_concurrent(word, &place)?;
                }
                let step = Step { place, conditions, action };
                // A step that acts only once, while the file is read, acts before the loop that contains it.
                if once {
                    self.nodes.push(Node::Step(step))
                } else {
                    self.push(step)
                }
                return Ok(if halts { Flow::Halts } else { Flow::GoesOn });
            }
        }
        Ok(Flow::GoesOn)
    }

    fn fits_concurrent(&self, word: &str, place: &Place) -> Result<(), SyntaxError> {
        match self.open.iter().find(|open| open.concurrent) {
            Some(open) if word != "reset" => {
                let (what, line) = (loop_word(open), open.place.line);
                let message = format!(
                    "`{word}` inside the `{what}` of line {line}, which may hold statements, queries and plain loops only"
                );
                Err(error_at(place, message))
            }
            _ => Ok(()),
        }
    }

    fn mode(&mut self, rest: &[&'a str], conditions: Vec<Condition<'a>>, place: Place) -> Result<(), SyntaxError> {
        match (rest.first().copied(), &mut self.skipping) {
            (Some("skip"), None) => self.skipping = Some((1, place)),
            (Some("skip"), Some((depth, _))) => *depth += 1,
            (Some("unskip"), Some((1, _))) => self.skipping = None,
            (Some("unskip"), Some((depth, _))) => *depth -= 1,
            (Some("unskip"), None) => {
                return Err(error_at(&place, "`mode unskip` without `mode skip` before it: delete it"));
            }
            (_, Some(_)) => {}
            (Some(mode @ ("output_result" | "debug" | "output_hash" | "no_output")), None) => {
                self.push(Step { place, conditions, action: Action::Output(mode) });
            }
            (other, None) => {
                let other = other.map_or("nothing".to_owned(), |word| format!("`{word}`"));
                let message = format!(
                    "`mode` needs `skip`, `unskip`, `output_result`, `output_hash`, `debug` or `no_output`, not {other}"
                );
                return Err(error_at(&place, message));
            }
        }
        Ok(())
    }

    fn open(&mut self, word: &str, rest: &[&'a str], place: Place) -> Result<(), SyntaxError> {
        let concurrent = word.starts_with("concurrent");
        if let Some(outer) = self.open.iter().find(|open| open.concurrent && concurrent) {
            let (what, line) = (loop_word(outer), outer.place.line);
            return Err(error_at(
                &place,
                format!("`{word}` inside the `{what}` of line {line}: use `loop` or `foreach`"),
            ));
        }
        let (names, over) = opened(word, rest).map_err(|message| error_at(&place, message))?;
        self.open.push(Loop { place, names, over, concurrent, body: Vec::new() });
        Ok(())
    }

    fn close(&mut self, place: &Place) -> Result<(), SyntaxError> {
        match self.open.pop() {
            Some(closed) => {
                self.body().push(Node::Loop(closed));
                Ok(())
            }
            None => Err(error_at(place, "`endloop` without a loop before it: delete it, or write `loop` or `foreach`")),
        }
    }

    fn include(&mut self, rest: &[&'a str], place: &Place) -> Result<Flow, SyntaxError> {
        let [name] = rest else { return Err(error_at(place, "`include` needs one path")) };
        let (path, texts) = include::read(name, self.path, self.root).map_err(|message| error_at(place, message))?;
        if self.including.contains(&path) || self.including.len() == super::DEEPEST {
            return Err(error_at(place, format!("`{name}` includes itself")));
        }
        let text = self.texts.keep(texts);
        self.including.push(path);
        let flow = self.text(text)?;
        self.including.pop();
        Ok(flow)
    }
}

/// The names and values of a loop.
fn opened<'a>(word: &str, rest: &[&'a str]) -> Result<(Vec<&'a str>, Over<'a>), String> {
    let usage = match word.ends_with("loop") {
        true => format!("`{word}` needs a name and two whole numbers: `{word} i 0 10`"),
        false => format!("`{word}` needs a name and at least one word: `{word} t INTEGER VARCHAR`"),
    };
    let Some((&name, values)) = rest.split_first() else { return Err(usage) };
    if word.ends_with("loop") {
        let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{usage}, not `{text}`"));
        return match values {
            [start, end] => Ok((vec![name], Over::Range(number(start)?, number(end)?))),
            _ => Err(usage),
        };
    }
    let names: Vec<&str> = name.split(',').filter(|name| !name.is_empty()).collect();
    if names.is_empty() || values.is_empty() {
        return Err(usage);
    }
    for value in values.iter().filter(|_| names.len() == 1) {
        let is_list = value.starts_with('<') && value.ends_with('>') && !value.starts_with("<variable:");
        if is_list && lists::built_in(value).is_none() {
            return Err(format!("`foreach` knows no list `{value}`: {}", lists::NAMES));
        }
    }
    for value in values.iter().filter(|_| names.len() > 1) {
        let count = value.split(',').filter(|part| !part.is_empty()).count();
        if count != names.len() {
            let values = if count == 1 { "value" } else { "values" };
            return Err(format!("`{value}` has {count} {values} for the {} names in `{name}`", names.len()));
        }
    }
    Ok((names, Over::Words(values.to_vec())))
}

/// The action of a directive, and whether it runs only once, however many loops are around it.
fn action<'a>(line: &'a str, word: &str, rest: &[&'a str]) -> Result<(Action<'a>, bool), String> {
    let first = rest.first().copied();
    Ok(match word {
        "continue" => (Action::Continue, false),
        "halt" => (Action::Halt, true),
        "reconnect" => (Action::Reconnect, false),
        "restart" => match first {
            None => (Action::Restart(true), false),
            Some("no_extension_load") => (Action::Restart(false), false),
            Some(other) => return Err(format!("`restart` takes `no_extension_load` or nothing, not `{other}`")),
        },
        "load" => (Action::Load(load(rest)?), false),
        "reset" => match rest {
            [word, label] if word.eq_ignore_ascii_case("label") => (Action::ResetLabel(label), false),
            _ => return Err("`reset` needs `label` and its name".to_owned()),
        },
        "hash-threshold" => {
            let number = first.filter(|_| rest.len() == 1).and_then(|word| word.parse().ok());
            (Action::HashThreshold(number.ok_or("`hash-threshold` needs a number")?), true)
        }
        "require" => {
            require::readable(first.ok_or("`require` needs a name such as `json`")?)?;
            require::of_the_runner(rest)?;
            (Action::Require(rest.to_vec()), true)
        }
        "require-env" => match rest {
            [name] => (Action::RequireEnv(name, None), true),
            [name, value] => (Action::RequireEnv(name, Some(value)), true),
            _ => return Err("`require-env` needs the name of a variable, and perhaps its value".to_owned()),
        },
        "test-env" => match rest {
            [name, default] => (Action::TestEnv(name, default), true),
            _ => return Err("`test-env` needs the name of a variable and a default".to_owned()),
        },
        "tags" if rest.is_empty() => return Err("`tags` needs at least one tag".to_owned()),
        "tags" => (Action::Tags(rest.to_vec()), true),
        "sleep" => (Action::Sleep(duration(rest)?), false),
        "unzip" => match rest {
            [source] | [source, "NULL"] => (Action::Unzip(source, None), false),
            [source, target] => (Action::Unzip(source, Some(target)), false),
            _ => return Err("`unzip` needs a `.gz` file, and perhaps where to put it".to_owned()),
        },
        _ => (set(line, rest)?, true),
    })
}

fn load<'a>(rest: &[&'a str]) -> Result<Load<'a>, String> {
    let read_only = match rest.get(1) {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("readwrite") => false,
        Some(word) if word.eq_ignore_ascii_case("readonly") => true,
        Some(other) => return Err(format!("`load` takes `readonly` or `readwrite` behind the path, not `{other}`")),
    };
    Ok(Load { path: rest.first().copied(), read_only, version: rest.get(2).copied() })
}

fn duration(rest: &[&str]) -> Result<Duration, String> {
    let usage = "`sleep` needs a number and a unit: `sleep 10 milliseconds`";
    let [number, unit] = rest else { return Err(usage.to_owned()) };
    let number: u64 = number.parse().map_err(|_| usage.to_owned())?;
    Ok(match *unit {
        "second" | "seconds" | "sec" => Duration::from_secs(number),
        "millisecond" | "milliseconds" | "milli" => Duration::from_millis(number),
        "microsecond" | "microseconds" | "micro" => Duration::from_micros(number),
        "nanosecond" | "nanoseconds" | "nano" => Duration::from_nanos(number),
        _ => return Err(format!("{usage}; units are seconds, milliseconds, microseconds and nanoseconds")),
    })
}

fn set<'a>(line: &'a str, rest: &[&'a str]) -> Result<Action<'a>, String> {
    let list = |word: &str| -> Vec<&'a str> {
        let listed = line.split_once(word).map_or("", |(_, listed)| listed);
        listed.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()
    };
    match rest {
        ["seed", seed] => Ok(Action::Seed(seed)),
        ["variable", name, value] => Ok(Action::Variable(name, value)),
        ["variable", ..] => Err("`set variable` needs a name and one word".to_owned()),
        ["ignore_error_messages", ..] => Ok(Action::IgnoreErrors(list("ignore_error_messages"))),
        ["always_fail_error_messages", ..] => Ok(Action::AlwaysFail(list("always_fail_error_messages"))),
        _ => {
            Err("`set` needs `seed`, `variable`, `ignore_error_messages` or `always_fail_error_messages`; SQL's `SET` \
                  needs `statement ok` above it"
                .to_owned())
        }
    }
}
