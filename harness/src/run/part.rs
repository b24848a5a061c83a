//! This machine's part of a suite that is split over machines before the run.

use super::error::RunError;
use super::folder::folder;
use crate::config::Config;
use crate::history::{History, Shares};
use crate::outcome::{Shard, Split};
use crate::report::words::time_us;
use crate::suite::{Filter, TestFile};

/// A part is the shard of this machine, and the split of the suite into shards.
pub(super) struct Part {
    pub shard: Shard,
    pub split: Split,
}

impl Part {
    /// Removes the files of other shards, if this machine has a shard, and prints that.
    ///
    /// A file that is requested by its exact name runs in every shard: the caller (nextest, for each file) has already split
    /// the files.
    pub(super) fn take(files: &mut Vec<TestFile>, filter: &Filter, config: &Config) -> Result<Option<Part>, RunError> {
        let Some(shard) = config.shard.filter(|_| !filter.exact) else { return Ok(None) };
        let history = match &config.shard_history {
            Some(path) => History::read_file(path)
                .map_err(|source| RunError::ShardHistory { path: path.display().to_string(), source })?,
            None => {
                let results = folder(config);
                History::read(&results).map_err(|error| RunError::results(&results, &error))?
            }
        };
        let shares = Shares::new(files.iter().map(|file| file.name.as_str()), shard.of, &history);
        let expected = shares.expected_us(shard);
        let split = shares.split;
        let own = split.part(shard);
        files.retain(|file| own.binary_search(&file.name).is_ok());
        let Shard { index, of } = shard;
        let (count, all) = (files.len(), split.files);
        match expected {
            _ if all == 0 => {}
            Some((own, whole)) => {
                let (own, whole) = (time_us(own), time_us(whole));
                note!("shard {index} of {of}: {count} of {all} files, {own} of {whole} as the history has it");
            }
            None => note!("shard {index} of {of}: {count} of {all} files, by name, because there is no history"),
        }
        Ok(Some(Part { shard, split }))
    }
}
