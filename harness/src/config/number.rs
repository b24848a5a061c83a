//! The numbers that flags take.

use std::num::IntErrorKind;
use std::time::Duration;

/// Reads a whole number, which may be 0.
pub(crate) fn whole<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    at_least(0, text)
}

/// Reads a whole number of at least 1.
pub(crate) fn positive<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    at_least(1, text)
}

fn at_least<N: TryFrom<u64>>(least: u64, text: &str) -> Result<N, String> {
    let too_large = || "needs a smaller number".to_owned();
    match text.parse::<u64>() {
        Ok(number) if number >= least => N::try_from(number).map_err(|_| too_large()),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(too_large()),
        _ => Err(format!("needs a whole number of at least {least}")),
    }
}

/// Reads a time limit: seconds, optionally with decimals, more than zero.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| "not a possible time".to_owned())?;
    if duration.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(duration) }
}

/// Reads a time limit: whole milliseconds, more than zero.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) => Err("must be more than 0".to_owned()),
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        Err(_) => Err("not a number of milliseconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_a_flag_cannot_take_is_an_error_that_says_what_it_needs() {
        assert_eq!((whole::<u32>("0"), positive::<u64>("7")), (Ok(0), Ok(7)));
        for wrong in ["-1", "x", "", "1.5"] {
            assert_eq!(whole::<u32>(wrong), Err("needs a whole number of at least 0".to_owned()));
            assert_eq!(positive::<u64>(wrong), Err("needs a whole number of at least 1".to_owned()));
        }
        assert_eq!(positive::<u32>("0"), Err("needs a whole number of at least 1".to_owned()));
        for large in ["4294967296", "99999999999999999999"] {
            assert_eq!(whole::<u32>(large), Err("needs a smaller number".to_owned()));
        }
    }
}
