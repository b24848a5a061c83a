//! The order of a run's files, and what they hold: both come from reading each file once.

use std::collections::HashMap;

use crate::engine::Engine;
use crate::history::{History, Order, Weights, wants_weights};
use crate::script::Labels;
use crate::suite::TestFile;
use crate::suite::content::look;
use crate::trial::Options;

/// Puts files in the order in which they run. Returns what each holds, by name, if that is wanted; files are read only for
/// that, and if the order depends on their text.
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
    // An engine behind an adapter may get another name when it is connected; then records that its conditions exclude count.
    let names = std::iter::once(engine.name().to_owned()).chain(engine.labels());
    let labels = weighs.then(|| Labels::new(names.chain(options.labels.iter().cloned())));
    let seen = look(files, labels.as_ref());
    let weights = files.iter().zip(&seen).filter_map(|(file, seen)| Some((file.name.clone(), seen.weight?)));
    let weights = weights.collect();
    let contents = files.iter().zip(seen).map(|(file, seen)| (file.name.clone(), seen.content)).collect();
    order.sort(files, history, &weights);
    contents
}
