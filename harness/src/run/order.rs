//! The order of a run's files, and the hashes of their content. Each file is read once for both.

use std::collections::HashMap;

use crate::engine::Engine;
use crate::history::{History, Order, Weights, wants_weights};
use crate::script::Labels;
use crate::suite::TestFile;
use crate::suite::content::look;
use crate::trial::Options;

/// Puts files in the order in which they run. Returns the content hash of each file by name, if it is wanted. Files are read
/// only if these hashes are wanted, or the order depends on the text of the files.
pub(super) fn put_in_order(
    files: &mut [TestFile],
    order: Order,
    history: &History,
    (engine, options): (&dyn Engine, &Options),
    wants_contents: bool,
) -> HashMap<String, String> {
    let weighs = order == Order::LongestFirst && wants_weights(files, history);
    if !weighs && !wants_contents {
        order.sort(files, history, &Weights::new());
        return HashMap::new();
    }
    // An adapter may know the engine's real name only after it connects. Then records that this name excludes count, too.
    let names = std::iter::once(engine.name().to_owned()).chain(engine.labels());
    let labels = weighs.then(|| Labels::new(names.chain(options.labels.iter().cloned())));
    let seen = look(files, labels.as_ref());
    let weights = files.iter().zip(&seen).filter_map(|(file, seen)| Some((file.name.clone(), seen.weight?)));
    let weights = weights.collect();
    let contents = files.iter().zip(seen).map(|(file, seen)| (file.name.clone(), seen.content)).collect();
    order.sort(files, history, &weights);
    contents
}
