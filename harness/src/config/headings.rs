//! The headings of the flags in `--help`, in their order there.

pub(super) const WHICH: &str = "Which files";
pub(super) const HOW: &str = "How files are run";
pub(super) const EXPECTED: &str = "What is expected";
pub(super) const OUTPUT: &str = "Output and results";
pub(super) const SETTINGS: &str = "Settings";
