//! Cargo's manifest of a package.

/// The name of its file.
pub(crate) const MANIFEST: &str = "Cargo.toml";

/// The name of the package: the key `name` below `[package]`; `None` if there is none. The manifest is not checked here,
/// because cargo has read it before.
pub(crate) fn package(manifest: &str) -> Option<&str> {
    fn section(line: &str) -> Option<&str> {
        line.strip_prefix('[')?.split(']').next().map(str::trim)
    }
    let lines = manifest.lines().map(str::trim).skip_while(|line| section(line) != Some("package")).skip(1);
    let mut own = lines.take_while(|line| !line.starts_with('['));
    own.find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(quote).next().filter(|_| matches!(key.trim(), "name" | "\"name\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_below_package() {
        let of_test = "[[test]]\nname = \"slt\"\n";
        assert_eq!(package(of_test), None);
        assert_eq!(package(&format!("{of_test}[ package ] # one\nedition=\"2024\"\nname= 'a-b' # c\n")), Some("a-b"));
        assert_eq!(package(&format!("[package]\nversion = \"1\"\n{of_test}")), None);
        assert_eq!(package("[package]\nname.workspace = true\n"), None);
    }
}
