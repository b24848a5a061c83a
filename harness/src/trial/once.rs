//! A channel for one value, which another thread sends, perhaps too late.
//!
//! The channel inside carries the type `()`, so the standard library's channel code is compiled once, and not for each type of
//! value.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The sending end.
pub(super) struct Sender<T> {
    value: Arc<Mutex<Option<T>>>,
    sent: mpsc::Sender<()>,
}

/// The receiving end.
pub(super) struct Receiver<T> {
    value: Arc<Mutex<Option<T>>>,
    sent: mpsc::Receiver<()>,
}

pub(super) fn once<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    let value = Arc::new(Mutex::new(None));
    (Sender { value: Arc::clone(&value), sent: sender }, Receiver { value, sent: receiver })
}

impl<T> Sender<T> {
    /// Sends the value. It is lost if the receiver no longer exists.
    pub(super) fn send(self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        let _ = self.sent.send(());
    }
}

impl<T> Receiver<T> {
    /// Waits for the value.
    ///
    /// # Errors
    /// It was not sent in time, or will not be sent.
    pub(super) fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.sent.recv_timeout(timeout)?;
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        value.take().ok_or(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_arrives_once_or_its_sender_is_gone() {
        let (sender, receiver) = once();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        std::thread::spawn(|| sender.send(7)).join().unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(7));
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
        let (sender, receiver) = once::<u8>();
        drop(sender);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    }
}
