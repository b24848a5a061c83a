//! Names for scripts' databases: unique across machines, and recognizable.
//!
//! ```text
//! slt_0f3a9c51d2b7e684_12_5be1a09c
//! │                │  └ CRC-32 of the text before it
//! │                └ how many names this process had made before
//!     └ the creator: a random number, under which it holds a lock until it ends
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use super::EngineError;

/// A maker creates names for databases.
#[derive(Debug)]
pub(super) struct Maker {
    token: u64,
    count: AtomicU64,
}

impl Maker {
    pub(super) fn new() -> Result<Self, EngineError> {
        let token = getrandom::u64().map_err(|error| EngineError::new(format!("no random numbers: {error}")))?;
        Ok(Maker { token, count: AtomicU64::new(0) })
    }

    /// The number under which the maker holds a lock.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// A name that no other database has or had.
    pub(super) fn name(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let start = format!("slt_{:016x}_{count}", self.token);
        format!("{start}_{:08x}", crc32fast::hash(start.as_bytes()))
    }
}

/// The token of the creator of `name`, if a maker created the name.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn token_of(name: &str) -> Option<u64> {
    let (start, sum) = name.rsplit_once('_')?;
    let (token, count) = start.strip_prefix("slt_")?.split_once('_')?;
    let count: u64 = count.parse().ok()?;
    let token = u64::from_str_radix(token, 16).ok()?;
    let again = format!("slt_{token:016x}_{count}");
    (again == start && sum == format!("{:08x}", crc32fast::hash(start.as_bytes()))).then_some(token)
}

#[cfg(all(test, any(feature = "postgres", feature = "mysql")))]
mod tests {
    use super::*;

    #[test]
    fn a_name_contains_its_makers_token() {
        let maker = Maker::new().unwrap();
        let (first, second) = (maker.name(), maker.name());
        assert_ne!(first, second);
        assert_eq!((token_of(&first), token_of(&second)), (Some(maker.token()), Some(maker.token())));
        assert!(first.len() < 60, "{first}");
    }

    #[test]
    fn other_names_are_not_recognised() {
        let name = Maker::new().unwrap().name();
        let mut damaged = name.clone();
        damaged.replace_range(4..5, if name.as_bytes()[4] == b'0' { "1" } else { "0" });
        for name in ["slt", "slt_", "slt_data", "slt_1_2_3", "slt_0000000000000001_0_00000000", &damaged, &name[1..]] {
            assert_eq!(token_of(name), None, "{name}");
        }
        assert_eq!(token_of(&name.to_uppercase()), None);
    }
}
