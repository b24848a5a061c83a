//! Nothing but the test target `slt`.
