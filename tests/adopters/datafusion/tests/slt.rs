//! DataFusion's own SQLLogicTest suite, with the verdicts of DataFusion's own runner.

use std::path::Path;
use std::process::ExitCode;

use datafusion_sqllogictest::{DataFusion, TestContext, df_value_validator, setup_scratch_dir, value_normalizer};
use indicatif::ProgressBar;
use slt_harness::engine::Script;
use slt_harness::{Adapter, Skip, Suite, Target};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The tables and settings that DataFusion prepares for a file, by its name.
async fn context(script: &Script) -> Result<TestContext, Error> {
    let name = Path::new(&script.name);
    let context = TestContext::try_new_for_test_file(name).await.ok_or(Skip::new("a feature of DataFusion is off"))?;
    setup_scratch_dir(name)?;
    Ok(context)
}

/// A connection in that context.
async fn connect(context: &TestContext, script: &Script) -> Result<DataFusion, Error> {
    Ok(DataFusion::new(context.session_ctx().clone(), script.name.clone().into(), ProgressBar::hidden()))
}

fn main() -> ExitCode {
    // The files name their data from here.
    std::env::set_current_dir(env!("SUITE")).expect("the build script made this folder");
    let engine = Adapter::with_context(context, connect)
        .named("DataFusion")
        .strict_types()
        .normalizer(value_normalizer)
        .validator(df_value_validator)
        .after_script(async |db| db.validate_config_unchanged());
    let suite = Suite::new(concat!(env!("SUITE"), "/test_files"))
        .exclude(["tpch/**"], "needs TPC-H's data")
        .exclude(["encrypted_parquet.slt"], "the feature parquet_encryption is off");
    Target::new(suite, engine).label("Datafusion").main()
}
