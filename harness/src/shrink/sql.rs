//! Makes the SQL of single records shorter: fewer rows, then fewer parts of its tree, then fewer tokens.

use std::ops::ControlFlow;

use super::tokens::{self, Token};
use super::{Flow, Shrinker, reduce, tree};

impl Shrinker<'_> {
    /// Whether the script still fails the same way with this SQL in one record.
    fn accepts_sql(&mut self, index: usize, tokens: &[Token]) -> Flow<bool> {
        let mut pieces = self.best.clone();
        pieces[index].sql = tokens::text(tokens).into_bytes();
        let target = self.target;
        self.accepts(&pieces, target)
    }

    fn tokens(&self, index: usize) -> Option<Vec<Token>> {
        self.sql(index).map(tokens::tokens)
    }

    fn sql(&self, index: usize) -> Option<&str> {
        let piece = self.best.get(index).filter(|piece| piece.kind.is_record())?;
        std::str::from_utf8(&piece.sql).ok()
    }

    pub(super) fn shrink_rows(&mut self) -> Flow<()> {
        self.stage = "rows";
        for index in (0..self.best.len()).rev() {
            let Some(tokens) = self.tokens(index) else { continue };
            let rows = tokens::rows(&tokens);
            if rows.is_empty() {
                continue;
            }
            let seed = self.plan.seed;
            reduce(&rows, seed, &mut |left| match left.is_empty() {
                true => ControlFlow::Continue(false),
                false => self.accepts_sql(index, &tokens::with_rows(&tokens, &rows, left)),
            })?;
        }
        ControlFlow::Continue(())
    }

    pub(super) fn shrink_sql(&mut self) -> Flow<()> {
        self.stage = "SQL";
        for index in (0..self.best.len()).rev() {
            // Without a reference, it is unknown what another query should return.
            if index == self.target && self.symptom.is_mismatch() && !self.reference {
                continue;
            }
            self.shrink_tree(index)?;
            let Some(tokens) = self.tokens(index) else { continue };
            // Continue only if the SQL made of the tokens fails the same way as the original text.
            if self.accepts_sql(index, &tokens)? {
                self.shrink_tokens(index)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Removes parts of the SQL's tree, as long as the SQL can be parsed and a shorter one is accepted.
    fn shrink_tree(&mut self, index: usize) -> Flow<()> {
        let dialect = tree::dialect(self.plan.sql_dialect);
        'again: loop {
            let Some(sql) = self.sql(index) else { return ControlFlow::Continue(()) };
            for shorter in tree::candidates(sql, &*dialect) {
                let mut pieces = self.best.clone();
                pieces[index].sql = shorter.into_bytes();
                let target = self.target;
                if self.accepts(&pieces, target)? {
                    continue 'again;
                }
            }
            return ControlFlow::Continue(());
        }
    }

    fn shrink_tokens(&mut self, index: usize) -> Flow<()> {
        'again: loop {
            let Some(tokens) = self.tokens(index) else { return ControlFlow::Continue(()) };
            for cut in tokens::cuts(&tokens) {
                if self.accepts_sql(index, &tokens::without(&tokens, &cut))? {
                    continue 'again;
                }
            }
            for at in 0..tokens.len() {
                for simpler in tokens::simpler(&tokens, at) {
                    if self.accepts_sql(index, &simpler)? {
                        continue 'again;
                    }
                }
            }
            return ControlFlow::Continue(());
        }
    }
}
