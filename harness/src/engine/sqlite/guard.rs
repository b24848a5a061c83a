//! Limits what a script may access through embedded SQLite: only databases in memory and files in its own scratch folder.
//!
//! The check is SQLite's authorizer. SQLite calls it while it prepares a statement, never for a row. A C callback that only
//! checks the action code costs a few nanoseconds for each table, column and function of a statement: under 1 % of SQLite's
//! instructions in scripts that mostly prepare statements.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::ffi;

/// The accesses that are allowed. The message continues with the access that the script tried.
const ALLOWED: &str = "a script reaches `:memory:`, the empty name and files in `$__TEST_DIR__` only";

/// A guard decides what the statements of one connection may access.
pub(super) struct Guard {
    /// The script's scratch folder, once it exists; all connections of the script share it.
    scratch: Arc<OnceLock<PathBuf>>,
    /// Why the last statement was refused.
    refusal: Mutex<Option<String>>,
}

impl Guard {
    /// A guard for a connection of the script whose scratch folder is `scratch`.
    pub(super) fn new(scratch: Arc<OnceLock<PathBuf>>) -> Box<Guard> {
        Box::new(Guard { scratch, refusal: Mutex::default() })
    }

    /// Checks all statements of `connection` from now on.
    ///
    /// # Safety
    /// `connection` is open, and is closed before this guard is dropped.
    pub(super) unsafe fn watch(&self, connection: *mut ffi::sqlite3) {
        let this = std::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the caller promises an open connection, and that `self` outlives it. It fails only for a closed
        // connection.
        unsafe { ffi::sqlite3_set_authorizer(connection, Some(authorize), this) };
    }

    /// Returns the reason why the last statement was refused, and forgets it.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn refuse(&self, what: String) -> c_int {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what}: {ALLOWED}"));
        ffi::SQLITE_DENY
    }

    /// Checks the name that ATTACH or VACUUM INTO opens; `None` means an expression that is not a literal.
    fn attach(&self, name: Option<&CStr>) -> c_int {
        let Some(name) = name else {
            return self.refuse("cannot attach a database whose name is an expression".to_owned());
        };
        match name.to_str() {
            Ok("" | ":memory:") => ffi::SQLITE_OK,
            Ok(text) if self.is_in_scratch(text) => ffi::SQLITE_OK,
            _ => self.refuse(format!("cannot attach or write the database `{}`", name.to_string_lossy())),
        }
    }

    fn is_in_scratch(&self, name: &str) -> bool {
        let Some(scratch) = self.scratch.get() else { return false };
        let path = match name.strip_prefix("file:") {
            None => name,
            // Escapes could hide `..`, and SQLite does not open the part after a `#`.
            Some(uri) if uri.contains(['%', '#']) => return false,
            Some(uri) => uri.split('?').next().unwrap_or_default(),
        };
        let mut parts = match Path::new(path).strip_prefix(scratch) {
            Ok(rest) => rest.components().peekable(),
            Err(_) => return false,
        };
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    }
}

/// SQLite calls this to ask whether a statement may do `action`.
unsafe extern "C" fn authorize(
    guard: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    _trigger: *const c_char,
) -> c_int {
    match action {
        ffi::SQLITE_ATTACH => {
            // SAFETY: `watch` passed a guard that outlives the connection, and only shared references to it exist.
            let guard = unsafe { &*guard.cast::<Guard>() };
            // SAFETY: SQLite passes NUL-terminated text, or null.
            guard.attach((!first.is_null()).then(|| unsafe { CStr::from_ptr(first) }))
        }
        ffi::SQLITE_PRAGMA if !first.is_null() && !second.is_null() => {
            // SAFETY: `watch` passed a guard that outlives the connection, and SQLite passes NUL-terminated text; `first`
            // is not null.
            let (guard, name) = unsafe { (&*guard.cast::<Guard>(), CStr::from_ptr(first)) };
            let name = name.to_string_lossy().to_ascii_lowercase();
            match name.as_str() {
                // These settings apply to the whole process, and so to all other scripts.
                "temp_store_directory" | "data_store_directory" => guard.refuse(format!("cannot set `PRAGMA {name}`")),
                _ => ffi::SQLITE_OK,
            }
        }
        _ => ffi::SQLITE_OK,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use crate::dialect::Dialect;
    use crate::engine::{Database, Engine, EngineError, ErrorKind, Request, Rows};

    /// The result of SQL in a script of this name, with the given scratch folder.
    fn run(database: &mut dyn Database, sql: &str) -> Result<String, EngineError> {
        let mut session = database.connect()?;
        let mut rows = Rows::default();
        session.run(Request { sql: sql.as_bytes(), letters: None, dialect: Dialect::Slt }, &mut rows)?;
        Ok(String::from_utf8_lossy(rows.text()).into_owned())
    }

    #[test]
    fn a_script_can_access_memory_and_its_scratch_folder() {
        for script in ["a.slt", "a.test"] {
            let folder = tempfile::tempdir().unwrap();
            let mut database = Sqlite.database(script).unwrap();
            database.scratch(folder.path());
            let path = folder.path().display();
            for sql in [
                "ATTACH ':memory:' AS a; CREATE TABLE a.t(x); DETACH a",
                "ATTACH \":memory:\" AS a; DETACH a",
                "ATTACH '' AS a; CREATE TABLE a.t(x); VACUUM; DETACH a",
                &format!("ATTACH '{path}/a.db' AS a; CREATE TABLE a.t(x); INSERT INTO a.t VALUES (7); DETACH a"),
                &format!("ATTACH 'file:{path}/b.db?mode=rwc' AS a; DETACH a"),
                &format!("CREATE TABLE t(x); VACUUM INTO '{path}/c-' || '1'"),
                "PRAGMA temp_store_directory",
                "CREATE TABLE u(x); INSERT INTO u VALUES (1); DELETE FROM u; PRAGMA foreign_keys = 1; VACUUM",
            ] {
                assert_eq!(run(&mut *database, sql).map(drop), Ok(()), "{script}: {sql}");
            }
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let other = folder.path().with_extension("other.db");
        let (other, name) = (other.display(), folder.path().file_name().unwrap().to_str().unwrap());
        for script in ["a.slt", "a.test"] {
            let mut database = Sqlite.database(script).unwrap();
            for told in [false, true] {
                if told {
                    database.scratch(folder.path());
                }
                for sql in [
                    &format!("ATTACH '{other}' AS a"),
                    &format!("attach database 'file:{other}?mode=rwc' AS a"),
                    &format!("ATTACH '{path}/../{name}.other.db' AS a"),
                    &format!("ATTACH '{path}' AS a"),
                    &format!("ATTACH 'file:{path}/%2e%2e/x.db' AS a"),
                    &format!("ATTACH '{path}x/a.db' AS a"),
                    "ATTACH 'file:/slt-0?vfs=memdb' AS a",
                    "ATTACH 'file::memory:?cache=shared' AS a",
                    "ATTACH 'file:a?mode=memory&cache=shared' AS a",
                    "ATTACH '/slt-0' AS a",
                    "ATTACH 'x' || '.db' AS a",
                    "ATTACH (SELECT 'x.db') AS a",
                    &format!("VACUUM INTO '{other}'"),
                    &format!("VACUUM INTO lower('{other}')"),
                    "PRAGMA temp_store_directory = '/'",
                    "PRAGMA Temp_Store_Directory('/')",
                ] {
                    let error = run(&mut *database, sql).unwrap_err();
                    assert!(
                        error.kind == ErrorKind::Refused && error.message.ends_with(super::ALLOWED),
                        "{script}: {sql}: {error}"
                    );
                }
                // SQLite does not have these functions, or they are disabled.
                for sql in
                    ["SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT writefile('x', 'y')"]
                {
                    assert!(run(&mut *database, sql).is_err(), "{script}: {sql}");
                }
                assert!(run(&mut *database, "CREATE VIRTUAL TABLE c USING csv(filename='/etc/passwd')").is_err());
            }
        }
        assert!(!std::path::Path::new(&other.to_string()).exists());
    }

    #[test]
    fn connections_of_a_script_share_a_database_that_no_other_script_can_open() {
        let mut database = Sqlite.database("a.slt").unwrap();
        let mut first = database.connect().unwrap();
        let request = |sql: &'static str| Request { sql: sql.as_bytes(), letters: None, dialect: Dialect::Slt };
        first.run(request("CREATE TABLE t(x); INSERT INTO t VALUES (7)"), &mut Rows::default()).unwrap();
        assert_eq!(run(&mut *database, "SELECT x FROM t").unwrap(), "7\n");
        let named = run(&mut *database, "SELECT file FROM pragma_database_list").unwrap();
        let other = Sqlite.database("a.slt").unwrap().connect().unwrap();
        drop(other);
        let digits = named.trim().rsplit('-').next().unwrap_or_default();
        assert!(digits.len() == 32 || named.trim().is_empty(), "`{named}` is guessable");
    }
}
