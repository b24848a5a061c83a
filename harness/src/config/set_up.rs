//! What a test target does once for each run, before the first file and after the last one.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Before = Arc<dyn Fn(&mut RunValues) -> Result<(), String> + Send + Sync>;
type After = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a test target does before the first file of a run and after the last one.
#[derive(Clone, Default)]
pub struct SetUp {
    pub(crate) before: Option<Before>,
    pub(crate) after: Option<After>,
}

/// The values that a set-up passes to every process of its run: see [`Target::before_run`](crate::Target::before_run).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunValues(pub(crate) BTreeMap<String, String>);

impl RunValues {
    /// Sets a value. [`run_value`](crate::run_value) returns it in every process; in workers it is also an environment
    /// variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }
}

impl fmt::Debug for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetUp").field("before", &self.before.is_some()).field("after", &self.after.is_some()).finish()
    }
}

impl SetUp {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }

    /// Prepares the run, before the first file.
    ///
    /// # Errors
    /// Its message, or that of its panic.
    pub(crate) fn begin(&self) -> Result<BTreeMap<String, String>, String> {
        let mut values = RunValues::default();
        if let Some(before) = &self.before {
            guarded(|| before(&mut values))?;
        }
        Ok(values.0)
    }

    /// Cleans up after the run, after the last file.
    ///
    /// # Errors
    /// Its message, or that of its panic.
    pub(crate) fn end(&self) -> Result<(), String> {
        self.after.as_ref().map_or(Ok(()), |after| guarded(|| after()))
    }
}

fn guarded(call: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(without a message)");
        Err(format!("it panicked: {text}"))
    })
}
