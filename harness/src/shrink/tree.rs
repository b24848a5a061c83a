//! SQL as a tree, and what may be removed from it. Parts that belong together are removed together, and the rest can still be
//! parsed.
//!
//! The tree is that of the `sqlparser` crate. If the crate cannot parse a record's SQL, only [`tokens`](super::tokens) are
//! removed.

use std::ops::ControlFlow;

use sqlparser::ast::{
    CreateTable, Delete, Expr, Function, FunctionArguments, GroupByExpr, Insert, OrderByKind, Query, Select, SetExpr,
    Statement, TableFactor, Update, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use sqlparser::dialect::{Dialect, GenericDialect, dialect_from_str};
use sqlparser::parser::Parser;

use super::tokens::tokens;

/// The maximum number of tokens of SQL that is parsed as a tree. Longer SQL usually has rows, which were removed before.
const MOST_TOKENS: usize = 4000;

/// The maximum number of candidates.
const MOST_CANDIDATES: usize = 4000;

/// The SQL dialect with this name; if there is none, one that accepts what most engines accept.
pub(super) fn dialect(name: &str) -> Box<dyn Dialect> {
    dialect_from_str(name).unwrap_or_else(|| Box::new(GenericDialect))
}

/// Variants of the SQL with one part removed, each with fewer tokens than `sql`, the shortest first. Empty if `sql` cannot be
/// parsed.
pub(super) fn candidates(sql: &str, dialect: &dyn Dialect) -> Vec<String> {
    let count = tokens(sql).len();
    if count > MOST_TOKENS {
        return Vec::new();
    }
    let Ok(statements) = Parser::parse_sql(dialect, sql) else { return Vec::new() };
    let mut found: Vec<(usize, String)> = Vec::new();
    for at in 0..MOST_CANDIDATES {
        let mut shorter = statements.clone();
        let mut cutter = Cutter { at, seen: 0 };
        if VisitMut::visit(&mut shorter, &mut cutter).is_continue() {
            break;
        }
        let text = shorter.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        found.push((tokens(&text).len(), text));
    }
    found.retain(|(length, _)| *length < count);
    found.sort_by_key(|(length, _)| *length);
    found.dedup();
    found.into_iter().map(|(_, text)| text).collect()
}

/// Removes the part with the number `at`, and stops there.
struct Cutter {
    at: usize,
    /// How many parts it has passed.
    seen: usize,
}

/// `Break` once something has been removed.
type Cut = ControlFlow<()>;

impl Cutter {
    fn is_next(&mut self) -> bool {
        self.seen += 1;
        self.seen == self.at + 1
    }

    fn when(&mut self, is_possible: bool, cut: impl FnOnce()) -> Cut {
        if is_possible && self.is_next() {
            cut();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn option<T>(&mut self, part: &mut Option<T>) -> Cut {
        self.when(part.is_some(), || *part = None)
    }

    /// Removes one item of a list, if at least `least` items remain.
    fn item<T>(&mut self, items: &mut Vec<T>, least: usize) -> Cut {
        if items.len() > least {
            for index in 0..items.len() {
                if self.is_next() {
                    items.remove(index);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Replaces the whole by one of `others`.
    fn instead<T>(&mut self, whole: &mut T, others: Vec<T>) -> Cut {
        for other in others {
            if self.is_next() {
                *whole = other;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn table(&mut self, table: &mut CreateTable) -> Cut {
        self.item(&mut table.columns, 1)?;
        self.item(&mut table.constraints, 0)?;
        for column in &mut table.columns {
            self.item(&mut column.options, 0)?;
        }
        self.when(table.if_not_exists, || table.if_not_exists = false)
    }

    fn insert(&mut self, insert: &mut Insert) -> Cut {
        self.option(&mut insert.on)?;
        self.option(&mut insert.returning)?;
        self.option(&mut insert.or)?;
        let Some(SetExpr::Values(values)) = insert.source.as_mut().map(|source| &mut *source.body) else {
            return ControlFlow::Continue(());
        };
        for index in 0..if insert.columns.len() > 1 { insert.columns.len() } else { 0 } {
            let is_whole = values.rows.iter().all(|row| row.content.len() == insert.columns.len());
            if is_whole && self.is_next() {
                insert.columns.remove(index);
                for row in &mut values.rows {
                    row.content.remove(index);
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn function(&mut self, function: &mut Function) -> Cut {
        self.option(&mut function.filter)?;
        self.option(&mut function.over)?;
        match &mut function.args {
            FunctionArguments::List(list) => {
                self.option(&mut list.duplicate_treatment)?;
                self.item(&mut list.clauses, 0)?;
                self.item(&mut list.args, 1)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl VisitorMut for Cutter {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> Cut {
        match statement {
            Statement::CreateTable(table) => self.table(table),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(Update { assignments, selection, returning, .. }) => {
                self.option(selection)?;
                self.option(returning)?;
                self.item(assignments, 1)
            }
            Statement::Delete(Delete { selection, returning, .. }) => {
                self.option(selection)?;
                self.option(returning)
            }
            Statement::CreateIndex(index) => {
                self.option(&mut index.predicate)?;
                self.item(&mut index.columns, 1)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> Cut {
        self.option(&mut query.with)?;
        if let Some(with) = &mut query.with {
            self.item(&mut with.cte_tables, 1)?;
        }
        self.option(&mut query.order_by)?;
        if let Some(OrderByKind::Expressions(items)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            self.item(items, 1)?;
        }
        self.option(&mut query.limit_clause)?;
        self.option(&mut query.fetch)?;
        let others = match &*query.body {
            SetExpr::SetOperation { left, right, .. } => vec![left.clone(), right.clone()],
            SetExpr::Query(inner) => vec![inner.body.clone()],
            // Replace a query by the subquery that it selects from.
            SetExpr::Select(select) => {
                let tables = select.from.iter().flat_map(|from| {
                    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
                });
                let body = |table: &TableFactor| match table {
                    TableFactor::Derived { subquery, .. } => Some(subquery.body.clone()),
                    _ => None,
                };
                tables.filter_map(body).collect()
            }
            _ => Vec::new(),
        };
        self.instead(&mut query.body, others)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Cut {
        self.option(&mut select.selection)?;
        self.option(&mut select.having)?;
        self.option(&mut select.qualify)?;
        self.option(&mut select.distinct)?;
        let (grouped, modified) = match &select.group_by {
            GroupByExpr::All(modifiers) => (true, !modifiers.is_empty()),
            GroupByExpr::Expressions(items, modifiers) => (!items.is_empty(), !modifiers.is_empty()),
        };
        self.when(grouped || modified, || select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new()))?;
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            self.item(items, 1)?;
        }
        self.item(&mut select.named_window, 0)?;
        self.item(&mut select.from, 0)?;
        for from in &mut select.from {
            self.item(&mut from.joins, 0)?;
            // Replace a table by one that is joined to it.
            for index in 0..from.joins.len() {
                if self.is_next() {
                    from.relation = from.joins.remove(index).relation;
                    return ControlFlow::Break(());
                }
            }
        }
        self.item(&mut select.projection, 1)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Cut {
        match expr {
            Expr::InList { list, .. } => self.item(list, 1)?,
            Expr::Function(function) => self.function(function)?,
            Expr::Case { conditions, else_result, .. } => {
                self.option(else_result)?;
                self.item(conditions, 1)?;
            }
            _ => {}
        }
        let mut others = children(expr);
        if !matches!(expr, Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            others.push(Expr::Value(Value::Number("1".to_owned(), false).into()));
        }
        self.instead(expr, others)
    }
}

/// The expressions that are a direct part of another one, without those inside its subqueries.
fn children(expr: &Expr) -> Vec<Expr> {
    struct Children {
        depth: usize,
        queries: usize,
        found: Vec<Expr>,
    }
    impl Visitor for Children {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> Cut {
            self.depth += 1;
            if self.depth == 2 && self.queries == 0 {
                self.found.push(expr.clone());
            }
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &Expr) -> Cut {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_query(&mut self, _: &Query) -> Cut {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> Cut {
            self.queries -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut children = Children { depth: 0, queries: 0, found: Vec::new() };
    let _ = expr.visit(&mut children);
    children.found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Vec<String> {
        candidates(sql, &*dialect("sqlite"))
    }

    #[track_caller]
    fn has(sql: &str, wanted: &[&str]) {
        let found = of(sql);
        for wanted in wanted {
            assert!(found.iter().any(|shorter| shorter == wanted), "{wanted}: {found:#?}");
        }
        assert!(found.windows(2).all(|pair| tokens(&pair[0]).len() <= tokens(&pair[1]).len()));
        assert!(found.iter().all(|shorter| tokens(shorter).len() < tokens(sql).len()));
        // The order of candidates depends only on the SQL.
        assert_eq!(of(sql), found);
    }

    #[test]
    fn parts_that_belong_together_go_together() {
        has(
            "SELECT DISTINCT a.x, max(b.y) FROM a LEFT JOIN b ON a.x = b.y AND b.z > 1, c WHERE a.x IN (1, 2) GROUP BY a.x ORDER BY 1 LIMIT 3",
            &[
                "SELECT DISTINCT a.x, max(b.y) FROM a, c WHERE a.x IN (1, 2) GROUP BY a.x ORDER BY 1 LIMIT 3",
                "SELECT DISTINCT a.x, max(b.y) FROM b, c WHERE a.x IN (1, 2) GROUP BY a.x ORDER BY 1 LIMIT 3",
                "SELECT DISTINCT a.x, max(b.y) FROM a LEFT JOIN b ON a.x = b.y, c WHERE a.x IN (1, 2) GROUP BY a.x ORDER BY 1 LIMIT 3",
                "SELECT DISTINCT a.x, b.y FROM a LEFT JOIN b ON a.x = b.y AND b.z > 1, c WHERE a.x IN (1, 2) GROUP BY a.x ORDER BY 1 LIMIT 3",
                "SELECT DISTINCT a.x, max(b.y) FROM a LEFT JOIN b ON a.x = b.y AND b.z > 1, c GROUP BY a.x ORDER BY 1 LIMIT 3",
            ],
        );
        has(
            "WITH q AS (SELECT 1) SELECT CASE WHEN x THEN 1 ELSE 2 END FROM (SELECT x FROM t WHERE x > 1) UNION SELECT 3",
            &[
                "SELECT CASE WHEN x THEN 1 ELSE 2 END FROM (SELECT x FROM t WHERE x > 1) UNION SELECT 3",
                "WITH q AS (SELECT 1) SELECT 3",
                "WITH q AS (SELECT 1) SELECT CASE WHEN x THEN 1 END FROM (SELECT x FROM t WHERE x > 1) UNION SELECT 3",
            ],
        );
    }

    #[test]
    fn statements_lose_columns_with_their_values() {
        has(
            "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') ON CONFLICT DO NOTHING",
            &[
                "INSERT INTO t (b) VALUES ('x'), ('y') ON CONFLICT DO NOTHING",
                "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')",
            ],
        );
        has(
            "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL, UNIQUE (a, b))",
            &[
                "CREATE TABLE t (a INTEGER PRIMARY KEY, UNIQUE (a, b))",
                "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)",
                "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, UNIQUE (a, b))",
            ],
        );
        has("UPDATE t SET a = 1, b = 2 WHERE c", &["UPDATE t SET a = 1, b = 2", "UPDATE t SET b = 2 WHERE c"]);
        has("DELETE FROM t WHERE a AND b", &["DELETE FROM t", "DELETE FROM t WHERE b"]);
    }

    #[test]
    fn what_is_no_sql_has_no_tree() {
        for sql in ["FAULT hang", "SELECT (", "", &"(".repeat(10_000)] {
            assert_eq!(of(sql), [""; 0], "{sql}");
        }
        assert!(!candidates("SELECT a::INTEGER FROM t WHERE b", &*dialect("postgres")).is_empty());
        assert!(!candidates("SELECT a FROM t WHERE b", &*dialect("the external driver")).is_empty());
    }
}
