//! Points where tests crash a process.

/// Aborts the process if the variable `SLT_QUEUE_FAIL` is `what-step`, or if it is `what-step:K` and this is the K-th call.
/// Tests only.
#[inline(always)]
pub(super) fn point(what: &str, step: &str) {
    #[cfg(test)]
    if armed::hit(what, step) {
        std::process::abort();
    }
    #[cfg(not(test))]
    let _ = (what, step);
}

/// Does half a write and aborts, under the same condition as [`point`].
#[inline(always)]
pub(super) fn torn(what: &str, step: &str, half: impl FnOnce() -> std::io::Result<()>) {
    #[cfg(test)]
    if armed::hit(what, step) {
        let _ = half();
        std::process::abort();
    }
    #[cfg(not(test))]
    let _ = (what, step, half);
}

#[cfg(test)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(super) fn hit(what: &str, step: &str) -> bool {
        static ARMED: OnceLock<Option<(String, u32)>> = OnceLock::new();
        static HITS: AtomicU32 = AtomicU32::new(0);
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var("SLT_QUEUE_FAIL").ok()?;
            Some(match text.split_once(':') {
                Some((name, count)) => (name.to_owned(), count.parse().expect("a number")),
                None => (text, 1),
            })
        });
        armed.as_ref().is_some_and(|(armed, count)| {
            armed.strip_prefix(what).and_then(|rest| rest.strip_prefix('-')) == Some(step)
                && HITS.fetch_add(1, Ordering::Relaxed) + 1 == *count
        })
    }
}
