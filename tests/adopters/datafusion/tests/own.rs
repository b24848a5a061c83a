//! DataFusion's own runner, as its package has it, in the folder of the suite: `cargo test --test own`.
#![allow(unexpected_cfgs)]

/// Its source is not a module: it has a `main`, which expects the folder to be right.
mod own {
    include!(env!("OWN_RUNNER"));
}

fn main() -> datafusion::common::Result<()> {
    std::env::set_current_dir(env!("SUITE")).expect("the build script made this folder");
    own::main()
}
