//! How to reach a PostgreSQL server, for the engine and for queues.

use std::time::Duration;

use tokio_postgres::Config;

use crate::engine::line::CONNECT;
use crate::engine::{ChoiceError, Url};

/// The oldest supported server, as in `server_version_num`: it can drop a database in use.
const OLDEST: u32 = 130_000;

/// The configuration of `url`. `text` is that URL without the parameters of this program. If it has no password,
/// `PGPASSWORD` is used.
///
/// # Errors
/// The URL is invalid.
pub(crate) fn config(url: &Url, text: &str) -> Result<Config, ChoiceError> {
    let mut config: Config = text.parse().map_err(|error| url.complain(with_cause(&error)))?;
    if config.get_password().is_none()
        && let Some(password) = std::env::var_os("PGPASSWORD")
    {
        config.password(password.as_encoded_bytes());
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_application_name().is_none() {
        config.application_name("slt");
    }
    // These settings detect within a minute that a peer has disappeared silently.
    config.keepalives_idle(Duration::from_secs(30)).keepalives_interval(Duration::from_secs(10));
    config.keepalives_retries(3);
    Ok(config)
}

/// Whether a server with that `server_version_num` is supported; if not, the message.
pub(crate) fn check_version(version: u32) -> Result<(), String> {
    let (have, need) = (version / 10_000, OLDEST / 10_000);
    match version >= OLDEST {
        true => Ok(()),
        false => Err(format!("the server is PostgreSQL {have}; {need} or newer is needed")),
    }
}

/// An error as text, with its cause.
pub(crate) fn with_cause(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        assert_eq!(check_version(120_022).unwrap_err(), "the server is PostgreSQL 12; 13 or newer is needed");
        assert!(check_version(130_000).is_ok() && check_version(180_001).is_ok());
    }
}
