//! What `slt clean` finds on a server.

/// A leftover is a database that a run created and did not drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its kind and name: ``database `slt_…` ``.
    pub name: String,
    /// The result.
    pub state: LeftoverState,
}

/// What happened to a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverState {
    /// It was dropped; in a dry run, it would be.
    Dropped,
    /// The run that created it is alive, or others are connected to it.
    InUse,
    /// It could not be dropped, for this reason.
    Stays(String),
}
