//! How an adapter waits for its futures.

use super::EngineError;

/// A runtime in which an adapter calls its functions and waits for its futures.
#[derive(Clone, Default)]
pub(super) struct Runtime {
    #[cfg(feature = "tokio")]
    own: Option<std::sync::Arc<super::super::tokio::OwnRuntime>>,
}

#[cfg(feature = "tokio")]
impl Runtime {
    pub(super) fn of_ones_own(
        make: impl Fn() -> std::io::Result<tokio::runtime::Runtime> + Send + Sync + 'static,
    ) -> Self {
        Runtime { own: Some(std::sync::Arc::new(super::super::tokio::OwnRuntime::new(Box::new(make)))) }
    }

    /// Waits for a future inside the runtime.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, EngineError> {
        Ok(super::super::tokio::runtime(self.own.as_deref())?.block_on(future))
    }

    /// Calls a function inside the runtime, so that the function can use it.
    pub(super) fn enter<T>(&self, call: impl FnOnce() -> T) -> Result<T, EngineError> {
        let _guard = super::super::tokio::runtime(self.own.as_deref())?.enter();
        Ok(call())
    }
}

#[cfg(not(feature = "tokio"))]
impl Runtime {
    /// Waits for a future.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, EngineError> {
        Ok(futures::executor::block_on(future))
    }

    /// Calls a function.
    pub(super) fn enter<T>(&self, call: impl FnOnce() -> T) -> Result<T, EngineError> {
        Ok(call())
    }
}
