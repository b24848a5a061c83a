//! The databases that `slt clean` finds on a server.

/// A leftover is a database that a run created and did not drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its kind and name: ``database `slt_…` ``.
    pub name: String,
    /// What happened to it.
    pub state: LeftoverState,
}

/// What happened to a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverState {
    /// It was dropped. In a dry run: it would be dropped.
    Dropped,
    /// The run that created it still exists, or other clients are connected to it.
    InUse,
    /// It could not be dropped, for this reason.
    Stays(String),
}
