//! `require`: what a file needs.

/// Whether a file may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// It may.
    Met,
    /// It may not, for a reason that follows `requires`.
    NotMet(String),
    /// Only the engine knows.
    AskEngine,
}

/// Extensions that DuckDB knows, whether they are there or not.
const EXTENSIONS: &[&str] = &[
    "autocomplete",
    "avro",
    "aws",
    "azure",
    "cached_httpfs",
    "core_functions",
    "delta",
    "demo_capi",
    "ducklake",
    "encodings",
    "excel",
    "fts",
    "h3",
    "httpfs",
    "iceberg",
    "icu",
    "inet",
    "jemalloc",
    "json",
    "lance",
    "loadable_extension_demo",
    "loadable_extension_optimizer_demo",
    "motherduck",
    "mysql_scanner",
    "odbc_scanner",
    "parquet",
    "postgres_scanner",
    "quack",
    "shell",
    "spatial",
    "sqlite_scanner",
    "sqlsmith",
    "tpcds",
    "tpch",
    "ui",
    "unity_catalog",
    "visualizer",
    "vortex",
    "vss",
];

/// Everything else.
const OTHERS: &[&str] = &[
    "windows",
    "notwindows",
    "mingw",
    "notmingw",
    "notmusl",
    "64bit",
    "longdouble",
    "nothreadsan",
    "strinline",
    "no_alternative_verify",
    "no_latest_storage",
    "no_vector_verification",
    "noforcestorage",
    "no_force_storage",
    "ram",
    "disk_space",
    "vector_size",
    "exact_vector_size",
    "block_size",
    "skip_reload",
    "no_extension_autoloading",
    "allow_unsigned_extensions",
    "vacuum_rebuild_indexes",
];

/// Whether DuckDB's runner knows a requirement.
///
/// # Errors
/// It does not; with the name that was perhaps meant.
pub fn known(name: &str) -> Result<(), String> {
    let name = name.to_ascii_lowercase();
    let all = || EXTENSIONS.iter().chain(OTHERS).copied();
    if all().any(|known| known == name) {
        return Ok(());
    }
    let near = all().map(|known| (strsim::osa_distance(known, &name), known)).min();
    let hint = match near {
        Some((distance, near)) if distance <= 2 => format!("; did you mean `{near}`?"),
        _ => "; it is neither an extension of DuckDB nor a property of a build".to_owned(),
    };
    Err(format!("unknown requirement `{name}`{hint}"))
}

/// What can be decided without asking the engine.
///
/// # Errors
/// Words that are missing or no number.
pub fn of_the_runner(words: &[&str]) -> Result<Requirement, String> {
    let name = words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let number = || {
        let word = words.get(1).copied().unwrap_or("nothing");
        word.parse::<u64>().map_err(|_| format!("`require {name}` needs a number, not `{word}`"))
    };
    let met = |is: bool| if is { Requirement::Met } else { Requirement::NotMet(words.join(" ")) };
    Ok(match name.as_str() {
        "windows" | "mingw" => met(cfg!(windows)),
        "notwindows" => met(!cfg!(windows)),
        "notmusl" => met(!cfg!(target_env = "musl")),
        "64bit" => met(cfg!(target_pointer_width = "64")),
        "notmingw"
        | "longdouble"
        | "nothreadsan"
        | "strinline"
        | "no_alternative_verify"
        | "no_latest_storage"
        | "no_vector_verification"
        | "noforcestorage"
        | "no_force_storage"
        | "skip_reload"
        | "allow_unsigned_extensions" => Requirement::Met,
        "vacuum_rebuild_indexes" => Requirement::NotMet(words.join(" ")),
        // DuckDB's runner is built with vectors of 2,048 values, and blocks of 256 KiB.
        "vector_size" => met(number()? <= 2048),
        "exact_vector_size" => met(number()? == 2048),
        "block_size" => met(number()? == 262_144),
        "ram" | "disk_space" if words.len() > 1 => Requirement::Met,
        "ram" | "disk_space" => return Err(format!("`require {name}` needs a size such as `16gb`")),
        "no_extension_autoloading" if words.len() < 2 => {
            return Err("`require no_extension_autoloading` needs a reason in quotation marks".to_owned());
        }
        _ => Requirement::AskEngine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_requirements_are_errors_with_a_hint() {
        assert!(known("JSON").is_ok() && known("skip_reload").is_ok());
        assert!(known("jsno").unwrap_err().contains("did you mean `json`?"));
        assert!(known("nonsense_of_mine").unwrap_err().contains("neither an extension"));
    }

    #[test]
    fn the_runner_decides_about_itself_and_the_engine_about_extensions() {
        assert_eq!(of_the_runner(&["json"]), Ok(Requirement::AskEngine));
        assert_eq!(of_the_runner(&["notwindows"]), Ok(Requirement::Met));
        assert_eq!(of_the_runner(&["vector_size", "512"]), Ok(Requirement::Met));
        assert_eq!(of_the_runner(&["vector_size", "4096"]), Ok(Requirement::NotMet("vector_size 4096".to_owned())));
        assert!(of_the_runner(&["vector_size", "many"]).unwrap_err().contains("needs a number"));
        assert!(of_the_runner(&["no_extension_autoloading"]).is_err());
    }
}
