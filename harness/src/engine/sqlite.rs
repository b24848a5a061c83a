//! Embedded SQLite: a fresh in-memory database for each script, values formatted as SQLite's original runner does.
//!
//! Requests go through SQLite's C interface, because the safe wrapper lacks two things that the classic format needs:
//! SQL as bytes, and SQLite's own conversions of a value to an integer, a real or text.

use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Once, OnceLock};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::{Database, Done, Engine, EngineError, ErrorKind, Interrupter, Opening, Request, Rows, Script, Session};
use crate::dialect::Dialect;
use crate::dialect::values::{Conversion, Form};

mod guard;
mod pages;

use guard::Guard;

/// The engine `sqlite`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sqlite;

/// Removes two causes for which threads of one process wait for each other inside SQLite although each has its own
/// database: the page cache that all connections share, and the memory counter that one lock protects (with two threads, a
/// sixth of the time of the public files). As a result, `PRAGMA soft_heap_limit` and similar pragmas have no effect.
fn let_threads_run_freely() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: no other thread may be initialising SQLite. An engine is created before the threads that use it. If
        // SQLite is already in use, it refuses, and continues as before.
        unsafe {
            let _ = ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, c_int::from(false));
            pages::install();
        }
    });
}

impl Engine for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn prepare(&self) {
        let_threads_run_freely();
    }

    fn identity(&self) -> String {
        // SAFETY: it returns SQLite's constant text.
        let source = unsafe { CStr::from_ptr(ffi::sqlite3_sourceid()) };
        format!("SQLite {} ({})", rusqlite::version(), source.to_string_lossy())
    }

    fn database(&self, script: &str) -> Result<Box<dyn Database>, EngineError> {
        memory(Dialect::by_extension(Path::new(script)))
    }

    fn open(&self, script: &Script) -> Result<Box<dyn Database>, EngineError> {
        memory(script.dialect)
    }
}

/// A new database in memory. It is not shared if the script cannot open a second connection: that is faster.
fn memory(dialect: Option<Dialect>) -> Result<Box<dyn Database>, EngineError> {
    let is_shared = dialect.is_none_or(|dialect| dialect.definition().has_connections());
    let name = if is_shared { shared_name()? } else { ":memory:".to_owned() };
    Ok(Box::new(Memory { name, read_only: false, scratch: Arc::default() }))
}

/// A name for a database in memory that all connections of a script share. Since the whole process could open it by
/// name, the name is random.
fn shared_name() -> Result<String, EngineError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| EngineError::new(format!("cannot make a random name: {error}")))?;
    Ok(format!("file:/slt-{:032x}?vfs=memdb", u128::from_ne_bytes(random)))
}

/// A database that a script sees. It is in memory, where it exists as long as a connection to it is open, or a file in the
/// script's scratch folder.
struct Memory {
    name: String,
    read_only: bool,
    /// The script's scratch folder, once it exists.
    scratch: Arc<OnceLock<PathBuf>>,
}

impl Database for Memory {
    fn connect(&mut self) -> Result<Box<dyn Session>, EngineError> {
        let access = match self.read_only {
            true => OpenFlags::SQLITE_OPEN_READ_ONLY,
            false => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.name, flags).map_err(|error| EngineError::new(error.to_string()))?;
        // The bundled build switches this on; SQLite's default is off.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)
            .map_err(|error| EngineError::new(error.to_string()))?;
        let session = SqliteSession { connection, guard: Guard::new(Arc::clone(&self.scratch)) };
        // SAFETY: the connection is open, and the session drops it before the guard.
        unsafe { session.guard.watch(session.handle()) };
        Ok(Box::new(session))
    }

    fn reopen(&mut self, opening: Opening<'_>) -> Result<(), EngineError> {
        match opening {
            Opening::Load { path: Some(path), read_only, .. } => {
                let is_own = self.scratch.get().is_some_and(|scratch| path.starts_with(scratch))
                    && !path.components().any(|part| part.as_os_str() == "..");
                let Some(name) = path.to_str().filter(|_| is_own) else {
                    let path = path.display();
                    return Err(EngineError::new(format!(
                        "cannot open the database `{path}`: a script reaches files in its own folder only"
                    )));
                };
                (self.name, self.read_only) = (name.to_owned(), read_only);
            }
            Opening::Load { path: None, .. } => (self.name, self.read_only) = (shared_name()?, false),
            // Data in memory is lost, as it would be if the process ended.
            Opening::Restart { .. } if self.name.ends_with("vfs=memdb") => self.name = shared_name()?,
            Opening::Restart { .. } => {}
        }
        Ok(())
    }

    fn scratch(&mut self, folder: &Path) {
        // A script keeps the same scratch folder while it runs.
        let _ = self.scratch.set(folder.to_owned());
    }
}

struct SqliteSession {
    connection: Connection,
    // Declared after the connection, so that the connection is dropped first.
    guard: Box<Guard>,
}

impl Session for SqliteSession {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn run(&mut self, request: Request<'_>, rows: &mut Rows) -> Result<Done, EngineError> {
        let form = request.dialect.definition().form();
        let mut rest = request.sql;
        let mut statements = 0;
        let mut returned_rows = false;
        let mut changes = 0;
        while let Some(mut statement) = self.prepare(&mut rest)? {
            statements += 1;
            if statements > 1 && request.letters.is_some() {
                return Err(EngineError::refused("a query is one SQL statement, and here is a second one"));
            }
            let columns = statement.columns();
            returned_rows = columns > 0;
            rows.clear();
            rows.set_columns(columns);
            let changed_before = self.total_changes();
            while statement.step()? {
                for column in 0..columns {
                    let conversion = request.letters.map(|letters| form.conversion(letters, column));
                    rows.push_with(|text| statement.write(column, conversion, form, text));
                }
            }
            changes = if self.total_changes() == changed_before { 0 } else { self.changes() };
        }
        if statements == 0 && request.letters.is_some() {
            return Err(EngineError::refused("a query is one SQL statement, and here is none"));
        }
        Ok(if returned_rows { Done::Rows } else { Done::Changed(changes) })
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let handle = self.connection.get_interrupt_handle();
        Some(Arc::new(move || handle.interrupt()))
    }
}

impl SqliteSession {
    fn handle(&self) -> *mut ffi::sqlite3 {
        // SAFETY: functions that borrow `self` use the handle while the connection is open, and never close it.
        unsafe { self.connection.handle() }
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed directly, without its triggers.
    fn changes(&self) -> u64 {
        // SAFETY: the handle is that of an open connection.
        let changes = unsafe { ffi::sqlite3_changes64(self.handle()) };
        u64::try_from(changes).unwrap_or(0)
    }

    /// How many rows all statements and triggers have changed. The difference shows whether the last statement changed any.
    fn total_changes(&self) -> u64 {
        // SAFETY: the handle is that of an open connection.
        let changes = unsafe { ffi::sqlite3_total_changes64(self.handle()) };
        u64::try_from(changes).unwrap_or(0)
    }

    fn error(&self) -> EngineError {
        if let Some(refusal) = self.guard.refusal() {
            return EngineError::refused(refusal);
        }
        // SAFETY: the handle is that of an open connection; SQLite returns NUL-terminated text that is valid until the
        // next call on this connection, and it is copied here before that.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.handle())) };
        let error = EngineError::new(message.to_string_lossy());
        // SAFETY: the handle is that of an open connection.
        match unsafe { ffi::sqlite3_errcode(self.handle()) } {
            ffi::SQLITE_NOMEM => error.of_kind(ErrorKind::OutOfMemory),
            _ => error,
        }
    }

    /// Prepares the first statement of `sql` and moves `sql` past it; `None` if only whitespace and comments are left.
    fn prepare(&self, sql: &mut &[u8]) -> Result<Option<Statement<'_>>, EngineError> {
        while !sql.is_empty() {
            let length = c_int::try_from(sql.len()).map_err(|_| EngineError::refused("SQL of more than 2 GiB"))?;
            let start: *const c_char = sql.as_ptr().cast();
            let mut raw = ptr::null_mut();
            let mut tail = ptr::null();
            // SAFETY: `start` points to `length` readable bytes; the two last arguments are valid to write to.
            let code = unsafe { ffi::sqlite3_prepare_v2(self.handle(), start, length, &raw mut raw, &raw mut tail) };
            let statement = (!raw.is_null()).then_some(Statement { raw, session: self });
            if code != ffi::SQLITE_OK {
                return Err(self.error());
            }
            // SAFETY: SQLite sets `tail` to a position within the text or directly after it.
            let used = usize::try_from(unsafe { tail.offset_from(start) }).unwrap_or(sql.len());
            if used == 0 {
                return Err(EngineError::refused("the SQL holds a NUL byte"));
            }
            *sql = &sql[used..];
            if statement.is_some() {
                return Ok(statement);
            }
        }
        Ok(None)
    }
}

/// A prepared statement, finalized when it is dropped.
struct Statement<'s> {
    raw: *mut ffi::sqlite3_stmt,
    session: &'s SqliteSession,
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: `raw` was created by `sqlite3_prepare_v2` and is finalized only here. The returned code is that of
        // the last step, which has been reported.
        unsafe { ffi::sqlite3_finalize(self.raw) };
    }
}

impl Statement<'_> {
    fn columns(&self) -> usize {
        // SAFETY: `raw` is a live statement.
        usize::try_from(unsafe { ffi::sqlite3_column_count(self.raw) }).unwrap_or(0)
    }

    /// Moves to the next row, if there is one.
    fn step(&mut self) -> Result<bool, EngineError> {
        // SAFETY: `raw` is a live statement.
        match unsafe { ffi::sqlite3_step(self.raw) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            _ => Err(self.session.error()),
        }
    }

    fn is_null(&self, column: c_int) -> bool {
        // SAFETY: `raw` is a live statement with a current row; SQLite checks the column's number.
        unsafe { ffi::sqlite3_column_type(self.raw, column) == ffi::SQLITE_NULL }
    }

    /// Writes a value with the conversion that the dialect requires; without a conversion, as SQLite's own text.
    fn write(&self, column: usize, conversion: Option<Conversion>, form: &Form, text: &mut Vec<u8>) {
        let index = c_int::try_from(column).unwrap_or(c_int::MAX);
        if self.is_null(index) {
            return text.extend_from_slice(form.null);
        }
        match conversion {
            Some(Conversion::Integer) => {
                // SAFETY: as in `is_null`.
                let integer = unsafe { ffi::sqlite3_column_int(self.raw, index) };
                text.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
            }
            Some(Conversion::Real) => {
                // SAFETY: as in `is_null`.
                let real = unsafe { ffi::sqlite3_column_double(self.raw, index) };
                write_real(real, text);
            }
            Some(Conversion::Text) => {
                let start = text.len();
                self.write_text(index, form, text);
                (form.finish)(text, start);
            }
            None => self.write_text(index, form, text),
        }
    }

    /// Writes a value as SQLite converts it to text.
    fn write_text(&self, index: c_int, form: &Form, text: &mut Vec<u8>) {
        // SAFETY: as in `is_null`. The text is valid until the next call on this statement; SQLite requires its length
        // to be read after the conversion.
        let value = unsafe {
            let start = ffi::sqlite3_column_text(self.raw, index);
            let length = ffi::sqlite3_column_bytes(self.raw, index);
            (!start.is_null()).then(|| std::slice::from_raw_parts(start, usize::try_from(length).unwrap_or(0)))
        };
        text.extend_from_slice(value.unwrap_or(form.null));
    }
}

/// Writes a real with three decimals, by SQLite's own `%.3f` into a buffer of the original runner's size.
///
/// C and Rust format differently. Here a half is rounded up (0.0625 is `0.063`), there are 16 digits and no negative zero,
/// infinity is `Inf`, and the buffer truncates longer values.
fn write_real(real: f64, text: &mut Vec<u8>) {
    let mut buffer = [0_u8; 200];
    let size = c_int::try_from(buffer.len()).unwrap_or(c_int::MAX);
    // SAFETY: `buffer` has room for `size` bytes; the format is NUL-terminated and takes one double.
    unsafe { ffi::sqlite3_snprintf(size, buffer.as_mut_ptr().cast(), c"%.3f".as_ptr(), real) };
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    text.extend_from_slice(&buffer[..end]);
}
