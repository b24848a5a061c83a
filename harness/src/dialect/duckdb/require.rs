//! `require`: the requirements of a file.

/// Whether a file may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// It may.
    Met,
    /// It may not, for this reason, whose text follows the word `requires`.
    NotMet(String),
    /// Only the engine knows.
    AskEngine,
}

/// The extensions that DuckDB knows, whether they are installed or not.
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

/// All other requirements.
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

fn all() -> impl Iterator<Item = &'static str> {
    EXTENSIONS.iter().chain(OTHERS).copied()
}

/// The known name that is nearest to an unknown one, and was perhaps meant by it.
fn near(name: &str) -> Option<(usize, &'static str)> {
    let near = all().map(|known| (strsim::osa_distance(known, name), known)).min();
    near.filter(|(distance, _)| (1..=2).contains(distance))
}

/// Whether a word can be the name of an extension. Anybody may write an extension, so names that are not listed here are
/// possible.
///
/// # Errors
/// The word cannot be such a name; the message suggests the name that was perhaps meant.
pub fn readable(name: &str) -> Result<(), String> {
    if name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter)) {
        return Ok(());
    }
    let hint = near(&name.to_ascii_lowercase()).map(|(_, near)| format!("; did you mean `{near}`?"));
    Err(format!("`{name}` cannot be the name of an extension{}", hint.unwrap_or_default()))
}

/// Whether DuckDB's runner knows a requirement that the engine does not have.
///
/// # Errors
/// DuckDB's runner does not know it.
pub fn known(name: &str) -> Result<(), String> {
    let name = name.to_ascii_lowercase();
    if all().any(|known| known == name) {
        return Ok(());
    }
    Err(match misspelt(&name) {
        Some(near) => format!("the engine does not have `{name}`; did you mean `{near}`?"),
        None => format!("the engine does not have `{name}`, and DuckDB knows no extension or property of that name"),
    })
}

/// The name that was perhaps meant by a name that DuckDB's runner does not know; `None` if no name is very similar.
///
/// Anybody may name an extension after a known one (`jsono`), and short names are alike by chance (`bson`).
pub fn misspelt(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let is_typing_error = |(distance, known): &(usize, &str)| {
        let is_long = name.len() >= 4 * distance && known.len() >= 5;
        (is_long || has_letters_of(&name, known)) && !name.starts_with(known)
    };
    near(&name).filter(is_typing_error).map(|(_, near)| near)
}

/// Whether two names consist of the same letters.
fn has_letters_of(name: &str, other: &str) -> bool {
    let sorted = |name: &str| {
        let mut letters: Vec<char> = name.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(name) == sorted(other)
}

/// The part of a requirement that can be decided without the engine.
///
/// # Errors
/// Words that are missing or not numbers.
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
        assert!(known("extension_of_mine").unwrap_err().contains("DuckDB knows no extension"));
        assert!(readable("extension_of_mine").is_ok() && readable("a5").is_ok());
        assert!(readable("icu;").unwrap_err().contains("did you mean `icu`?"));
        assert!(readable("'icu'").is_err());
        assert_eq!((misspelt("jsno"), misspelt("json"), misspelt("a5")), (Some("json"), None, None));
        assert_eq!((misspelt("spatail"), misspelt("parqet")), (Some("spatial"), Some("parquet")));
        for other in ["yaml", "jsono", "bson", "tpcc", "lancedb", "spatial_index"] {
            assert_eq!(misspelt(other), None, "{other}");
            assert!(known(other).unwrap_err().contains("DuckDB knows no extension"), "{other}");
        }
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
