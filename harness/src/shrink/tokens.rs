//! Splits SQL into tokens, and lists what may be removed.
//!
//! This uses no grammar, because engines differ. If a removal makes the SQL invalid, it fails in another way and is not
//! accepted.

use std::ops::Range;

/// A token, and whether white space precedes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    space: bool,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphanumeric() || matches!(first, '_' | '$' | '"' | '`' | '\''))
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// The tokens of a text, without comments.
pub(super) fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut space) = (sql, false);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            0
        } else if rest.starts_with("--") {
            let end = rest.find('\n').unwrap_or(rest.len());
            (rest, space) = (&rest[end..], true);
            continue;
        } else if rest.starts_with("/*") && !rest.starts_with("/*!") && !rest.starts_with("/*+") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            (rest, space) = (&rest[end..], true);
            continue;
        } else if matches!(first, '\'' | '"' | '`') {
            quoted(rest, first)
        } else if first.is_alphanumeric() || matches!(first, '_' | '$') {
            let is_in = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$' | '.');
            rest.find(|char: char| !is_in(char)).unwrap_or(rest.len())
        } else {
            let operators = ["->>", "<=>", "<=", ">=", "<>", "!=", "==", "||", "::", "->", "<<", ">>", ":="];
            operators.iter().find(|operator| rest.starts_with(**operator)).map_or(first.len_utf8(), |o| o.len())
        };
        if length == 0 {
            (rest, space) = (&rest[first.len_utf8()..], true);
            continue;
        }
        tokens.push(Token { text: rest[..length].to_owned(), space: std::mem::take(&mut space) });
        rest = &rest[length..];
    }
    tokens
}

/// The length of a quoted text. A doubled quote does not end it.
fn quoted(text: &str, quote: char) -> usize {
    let mut end = 1;
    while let Some(at) = text[end..].find(quote) {
        end += at + 1;
        if !text[end..].starts_with(quote) {
            return end;
        }
        end += 1;
    }
    text.len()
}

/// The text of tokens, in one line unless a value contains a line break.
pub(super) fn text(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut before: Option<&Token> = None;
    for token in tokens {
        let joined = before.is_some_and(|before| before.text == "," || (before.is_word() && token.is_word()));
        let inside = before.is_some_and(|before| before.text == "(") || matches!(token.text.as_str(), ")" | "," | ";");
        if before.is_some() && ((token.space && !inside) || joined) {
            text.push(' ');
        }
        text.push_str(&token.text);
        before = Some(token);
    }
    text
}

/// The rows of an `INSERT … VALUES (…), (…)`, as ranges of tokens without the commas between rows. Empty if there are fewer
/// than two.
pub(super) fn rows(tokens: &[Token]) -> Vec<Range<usize>> {
    let Some(values) = tokens.iter().position(|token| token.is("VALUES")) else { return Vec::new() };
    if !tokens.first().is_some_and(|token| token.is("INSERT") || token.is("REPLACE")) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let mut at = values + 1;
    while let Some(end) = tokens.get(at).filter(|token| token.text == "(").and_then(|_| closing(tokens, at)) {
        rows.push(at..end + 1);
        if tokens.get(end + 1).is_none_or(|token| token.text != ",") {
            break;
        }
        at = end + 2;
    }
    if rows.len() > 1 { rows } else { Vec::new() }
}

/// The tokens of an insert with these of its rows.
pub(super) fn with_rows(tokens: &[Token], all: &[Range<usize>], kept: &[Range<usize>]) -> Vec<Token> {
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return tokens.to_vec() };
    let comma = Token { text: ",".to_owned(), space: false };
    let rows: Vec<Vec<Token>> = kept.iter().map(|row| tokens[row.clone()].to_vec()).collect();
    [&tokens[..first.start], &rows.join(&comma)[..], &tokens[last.end..]].concat()
}

/// The index of the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" if depth == 1 => return Some(index),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Words that begin a part of a statement.
const CLAUSES: [&str; 20] = [
    "WITH",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "CROSS",
    "NATURAL",
    "ON",
    "USING",
    "AS",
];

/// The token ranges that may be removed, the largest first: clauses, brackets, items of lists, operands, and short runs of
/// tokens.
///
/// Each candidate is a list of ranges that are removed together.
pub(super) fn cuts(tokens: &[Token]) -> Vec<Vec<Range<usize>>> {
    let mut cuts: Vec<Vec<Range<usize>>> = Vec::new();
    let depths = depths(tokens);
    // The end of the part that begins at `start`: before the next token at the same depth for which `ends` returns true, or
    // before a closing bracket.
    let end = |start: usize, ends: &dyn Fn(&Token) -> bool| {
        let beyond = |index: &usize| {
            depths[*index] < depths[start] || (depths[*index] == depths[start] && ends(&tokens[*index]))
        };
        (start + 1..tokens.len()).find(beyond).unwrap_or(tokens.len())
    };
    let is_clause = |token: &Token| CLAUSES.iter().any(|word| token.is(word));
    let joins = |token: &Token| token.text == "," || token.is("AND") || token.is("OR");
    for (index, token) in tokens.iter().enumerate() {
        if is_clause(token) {
            cuts.push(one(index..end(index, &|token| is_clause(token) || token.text == "," || token.text == ";")));
            // The clause with everything after it: `LEFT JOIN t ON …`.
            cuts.push(one(index..end(index, &|token| token.text == ";")));
        }
        if token.text == "("
            && let Some(close) = closing(tokens, index)
        {
            cuts.push(one(index..close + 1));
            cuts.push(vec![index..index + 1, close..close + 1]);
            if index > 0 {
                // Replace a function call by its argument.
                cuts.push(vec![index - 1..index + 1, close..close + 1]);
            }
        }
        if joins(token) {
            let stop = |token: &Token| joins(token) || is_clause(token);
            cuts.push(one(index..end(index, &stop)));
            let before = (0..index).rev().find(|before| {
                depths[*before] < depths[index] || (depths[*before] == depths[index] && stop(&tokens[*before]))
            });
            cuts.push(one(before.map_or(0, |before| before + 1)..index + 1));
        }
    }
    for size in [8, 4, 2, 1] {
        cuts.extend((0..tokens.len().saturating_sub(size - 1)).rev().map(|start| one(start..start + size)));
    }
    let length = |cut: &Vec<Range<usize>>| cut.iter().map(ExactSizeIterator::len).sum::<usize>();
    cuts.retain(|cut| (1..tokens.len()).contains(&length(cut)));
    cuts.sort_by_key(|cut| std::cmp::Reverse(length(cut)));
    cuts.dedup();
    cuts
}

fn one(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}

/// How many brackets are around each token. A bracket has the same depth as the tokens around it.
fn depths(tokens: &[Token]) -> Vec<usize> {
    let mut depth: usize = 0;
    let depth_of = |token: &Token| {
        if token.text == ")" {
            depth = depth.saturating_sub(1);
        }
        let here = depth;
        if token.text == "(" {
            depth += 1;
        }
        here
    };
    tokens.iter().map(depth_of).collect()
}

/// The tokens without these ranges.
pub(super) fn without(tokens: &[Token], cut: &[Range<usize>]) -> Vec<Token> {
    let kept = |index: &usize| !cut.iter().any(|range| range.contains(index));
    (0..tokens.len()).filter(kept).map(|index| tokens[index].clone()).collect()
}

/// Simpler values for the literal at `index`, the simplest first. Empty if it is not a literal, or already simple.
pub(super) fn simpler(tokens: &[Token], index: usize) -> Vec<Vec<Token>> {
    let token = &tokens[index];
    let values: &[&str] = match token.text.as_str() {
        "0" | "1" | "''" | "'a'" => &[],
        text if text.starts_with('\'') => &["''", "'a'"],
        text if text.starts_with(|first: char| first.is_ascii_digit()) => &["0", "1"],
        _ => &[],
    };
    let replaced = |value: &&str| {
        let mut tokens = tokens.to_vec();
        (*value).clone_into(&mut tokens[index].text);
        tokens
    };
    values.iter().map(replaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        tokens(sql).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn tokens_are_words_literals_and_operators() {
        let sql = "SELECT 'it''s', \"a b\".c->>'$.x' -- why\n FROM t /* here */ WHERE a<>1.5e3";
        let expected =
            ["SELECT", "'it''s'", ",", "\"a b\"", ".", "c", "->>", "'$.x'", "FROM", "t", "WHERE", "a", "<>", "1.5e3"];
        assert_eq!(texts(sql), expected);
        assert_eq!(text(&tokens(sql)), "SELECT 'it''s', \"a b\".c->>'$.x' FROM t WHERE a<>1.5e3");
        assert_eq!(texts("'open"), ["'open"]);
        assert_eq!(text(&without(&tokens("a(b)c"), &[1..2, 3..4])), "a b c");
    }

    #[test]
    fn rows_of_an_insert_are_found_and_put_together() {
        let all = tokens("INSERT INTO t(a, b) VALUES (1, 'x'), (2, f(3)), (4, ')') ON CONFLICT DO NOTHING");
        let found = rows(&all);
        assert_eq!(found.len(), 3);
        let kept = [found[0].clone(), found[2].clone()];
        let shorter = text(&with_rows(&all, &found, &kept));
        assert_eq!(shorter, "INSERT INTO t(a, b) VALUES (1, 'x'), (4, ')') ON CONFLICT DO NOTHING");
        for sql in ["INSERT INTO t VALUES (1)", "SELECT 1", "INSERT INTO t SELECT 1", "VALUES (1), (2)"] {
            assert_eq!(rows(&tokens(sql)), [] as [Range<usize>; 0], "{sql}");
        }
    }

    #[test]
    fn clauses_items_and_operands_may_be_taken_out() {
        let all = tokens("SELECT a, max(b) FROM t WHERE a > 1 AND b < 2 ORDER BY 1");
        let shorter: Vec<String> = cuts(&all).iter().map(|cut| text(&without(&all, cut))).collect();
        for wanted in [
            "SELECT a, max(b) FROM t WHERE a > 1 AND b < 2",
            "SELECT a, max(b) FROM t ORDER BY 1",
            "SELECT a FROM t WHERE a > 1 AND b < 2 ORDER BY 1",
            "SELECT max(b) FROM t WHERE a > 1 AND b < 2 ORDER BY 1",
            "SELECT a, b FROM t WHERE a > 1 AND b < 2 ORDER BY 1",
            "SELECT a, max(b) FROM t WHERE a > 1 ORDER BY 1",
            "SELECT a, max(b) FROM t WHERE b < 2 ORDER BY 1",
        ] {
            assert!(shorter.iter().any(|sql| sql == wanted), "{wanted}: {shorter:#?}");
        }
        assert!(shorter.windows(2).all(|pair| tokens(&pair[0]).len() <= tokens(&pair[1]).len()));
    }

    #[test]
    fn literals_become_simpler() {
        let all = tokens("SELECT 'long', 42, a");
        let of = |index| simpler(&all, index).iter().map(|tokens| text(tokens)).collect::<Vec<_>>();
        assert_eq!(of(1), ["SELECT '', 42, a", "SELECT 'a', 42, a"]);
        assert_eq!(of(3), ["SELECT 'long', 0, a", "SELECT 'long', 1, a"]);
        assert_eq!(of(5), [""; 0]);
    }
}
