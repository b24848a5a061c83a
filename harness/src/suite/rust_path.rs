//! A file's name as a Rust path, for tools that show `::` as nested modules.
//!
//! The path depends on the name alone, and no two names have the same path. So a file has the same path whether its folder
//! is listed or not.

/// The name as a Rust path: a module for each folder, a function for the file.
///
/// | name | path |
/// |---|---|
/// | `evidence/in1.test` | `evidence::in1_test` |
/// | `in/10/x.slt` | `_in::_10::x_slt` |
/// | `a-b.slt` | `a_b_slt__x2d`: the end lists the character that `_` replaces, in hexadecimal |
pub(super) fn rust_path(name: &str) -> String {
    let (folders, file) = name.rsplit_once('/').map_or((None, name), |(folders, file)| (Some(folders), file));
    let mut parts: Vec<String> = folders.into_iter().flat_map(|folders| folders.split('/')).map(identifier).collect();
    // Every name has the dot before the extension, so its replacement is not listed.
    parts.push(match file.rsplit_once('.') {
        Some((stem, extension)) => encode(&format!("{stem}_{extension}"), Some(stem.len())),
        None => identifier(file),
    });
    parts.join("::")
}

fn identifier(part: &str) -> String {
    encode(part, None)
}

/// Separates an identifier from the list of the characters that it replaces.
const REPLACED: &str = "__x";

/// An identifier that differs for each text; the character at byte `dot` is not listed.
fn encode(text: &str, dot: Option<usize>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut identifier: String = text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if !text.chars().all(is_plain) || text.contains(REPLACED) {
        let replaced = text.char_indices().filter(|(at, c)| !c.is_ascii_alphanumeric() && Some(*at) != dot);
        let codes: Vec<String> = replaced.map(|(_, c)| format!("{:x}", u32::from(c))).collect();
        identifier = format!("{identifier}{REPLACED}{}", codes.join("_"));
    }
    // Adds one underscore, even if there are some already, so that `10`, `_10` and `__10` stay different.
    let bare = identifier.trim_start_matches('_');
    if bare.is_empty() || bare.starts_with(|c: char| c.is_ascii_digit()) || KEYWORDS.contains(&bare) {
        identifier.insert(0, '_');
    }
    identifier
}

/// Words that cannot be identifiers (Rust reference, "Keywords", strict and reserved ones).
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn paths_are_identifiers() {
        for (name, path) in [
            ("evidence/in1.test", "evidence::in1_test"),
            ("in/10/x.slt", "_in::_10::x_slt"),
            ("a-b.slt", "a_b_slt__x2d"),
            ("a_b.slt", "a_b_slt"),
            ("a-b/c_d.e.test", "a_b__x2d::c_d_e_test__x5f_2e"),
            ("x.TEST", "x_TEST"),
            ("in/a b-é.slt", "_in::a_b___slt__x20_2d_e9"),
        ] {
            assert_eq!(rust_path(name), path);
        }
    }

    #[test]
    fn no_two_names_have_the_same_path() {
        let stems = [
            "a_b",
            "a-b",
            "a.b",
            "a b",
            "a_b__x2d",
            "a-b__x2d",
            "a__xb",
            "a_b_test",
            "10",
            "_10",
            "__10",
            "in",
            "_in",
            "_",
            "__",
            "-",
            ".",
            "_.",
            "a_b_c",
            "a-b_c",
            "a_b-c",
            "a-b-c",
            "__x",
            "__x2d",
            "self",
            "é",
            "a_b_slt__x2d",
        ];
        let mut seen: HashMap<String, String> = HashMap::new();
        let files =
            stems.iter().flat_map(|stem| [format!("{stem}.test"), format!("{stem}.slt"), format!("f/{stem}.slt")]);
        let folders = stems.iter().map(|stem| format!("{stem}/f.slt"));
        for name in files.chain(folders) {
            let path = rust_path(&name);
            let is_valid = |part: &str| {
                !part.starts_with(|c: char| c.is_ascii_digit())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    && !KEYWORDS.contains(&part)
                    && part != "_"
            };
            assert!(path.split("::").all(is_valid), "{path}");
            if let Some(other) = seen.insert(path.clone(), name.clone()) {
                panic!("`{name}` and `{other}` are both {path}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn random_names_keep_their_own_paths(a in "[a_ x0-]{1,6}", b in "[a_ x0-]{1,6}") {
            let path = |stem: &str| rust_path(&format!("{stem}.slt"));
            proptest::prop_assert_eq!(a == b, path(&a) == path(&b));
            let folder = |part: &str| rust_path(&format!("{part}/x.slt"));
            proptest::prop_assert_eq!(a == b, folder(&a) == folder(&b));
        }
    }
}
