//! The tokio runtimes in which adapters run: one for the whole process, or one that belongs to an adapter. Each starts when
//! it is first needed.

use std::io;
use std::mem::ManuallyDrop;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};

use super::EngineError;

/// Makes a runtime when it is needed.
pub(super) type Make = Box<dyn Fn() -> io::Result<Runtime> + Send + Sync>;

/// A runtime that belongs to its adapter. It is not shut down at the end: that would wait for tasks that an engine has left
/// in it.
pub(super) struct OwnRuntime {
    make: Make,
    runtime: OnceCell<ManuallyDrop<Runtime>>,
}

static SHARED: OnceCell<Runtime> = OnceCell::new();

impl OwnRuntime {
    pub(super) fn new(make: Make) -> Self {
        OwnRuntime { make, runtime: OnceCell::new() }
    }
}

/// The adapter's own runtime; without one, the runtime that the process shares.
pub(super) fn runtime(own: Option<&OwnRuntime>) -> Result<&Runtime, EngineError> {
    let runtime = match own {
        Some(own) => own.runtime.get_or_try_init(|| (own.make)().map(ManuallyDrop::new)).map(|runtime| &**runtime),
        None => SHARED.get_or_try_init(|| Builder::new_multi_thread().enable_all().build()),
    };
    runtime.map_err(|error| EngineError::new(format!("cannot start the tokio runtime: {error}")))
}
