//! `slt report`: the results of a run as one HTML page.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::complain;
use crate::outcome::{ArchiveError, Results};
use crate::report::html;
use crate::run::{default_results, with_causes, write_whole};
use crate::summary::ExitStatus;
