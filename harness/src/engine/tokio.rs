//! The tokio runtime for adapters: one for the whole process, started when first needed.

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Runtime};

use super::EngineError;

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

fn runtime() -> Result<&'static Runtime, EngineError> {
    RUNTIME
        .get_or_try_init(|| Builder::new_multi_thread().enable_all().build())
        .map_err(|error| EngineError::new(format!("cannot start the tokio runtime: {error}")))
}

/// Runs a future on the runtime.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, EngineError> {
    Ok(runtime()?.block_on(future))
}

/// Calls a function that may need a runtime context.
pub(super) fn enter<T>(call: impl FnOnce() -> T) -> Result<T, EngineError> {
    let _guard = runtime()?.enter();
    Ok(call())
}
