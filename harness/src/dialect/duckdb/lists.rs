//! The lists that `foreach` knows by name, and the number of a loop's passes.

use super::words::words;

const SIGNED: &[&str] = &["tinyint", "smallint", "integer", "bigint", "hugeint"];
const UNSIGNED: &[&str] = &["utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"];
const FLOATING: &[&str] = &["float", "double"];
const OTHER: &[&str] = &["bool", "interval", "varchar"];
const COMPRESSION: &[&str] =
    &["none", "uncompressed", "rle", "bitpacking", "dictionary", "fsst", "dict_fsst", "alp", "alprd"];
/// The columns of `test_all_types()`.
const ALL_TYPES_COLUMNS: &[&str] = &[
    "bool",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "hugeint",
    "uhugeint",
    "utinyint",
    "usmallint",
    "uint",
    "ubigint",
    "date",
    "time",
    "timestamp",
    "timestamp_s",
    "timestamp_ms",
    "timestamp_ns",
    "time_tz",
    "timestamp_tz",
    "float",
    "double",
    "dec_4_1",
    "dec_9_4",
    "dec_18_6",
    "dec38_10",
    "uuid",
    "interval",
    "varchar",
    "blob",
    "bit",
    "small_enum",
    "medium_enum",
    "large_enum",
    "int_array",
    "double_array",
    "date_array",
    "timestamp_array",
    "timestamptz_array",
    "varchar_array",
    "nested_int_array",
    "struct",
    "struct_of_arrays",
    "array_of_structs",
    "map",
    "union",
    "fixed_int_array",
    "fixed_varchar_array",
    "fixed_nested_int_array",
    "fixed_nested_varchar_array",
    "fixed_struct_array",
    "struct_of_fixed_array",
    "fixed_array_of_int_list",
    "list_of_fixed_int_array",
];

/// The names of the lists.
pub(super) const NAMES: &str =
    "<signed>, <unsigned>, <integral>, <numeric>, <alltypes>, <compression>, <all_types_columns>";

/// The words of a built-in list, whose name may be in any letter case.
pub(super) fn built_in(name: &str) -> Option<Vec<&'static str>> {
    let parts: &[&[&str]] = match name.to_ascii_lowercase().as_str() {
        "<signed>" => &[SIGNED],
        "<unsigned>" => &[UNSIGNED],
        "<integral>" => &[SIGNED, UNSIGNED],
        "<numeric>" => &[SIGNED, UNSIGNED, FLOATING],
        "<alltypes>" => &[SIGNED, UNSIGNED, FLOATING, OTHER],
        "<compression>" => &[COMPRESSION],
        "<all_types_columns>" => &[ALL_TYPES_COLUMNS],
        _ => return None,
    };
    Some(parts.concat())
}

/// How many passes the loop opened by this line has, as far as the line itself shows it. A variable counts as one pass.
pub(super) fn passes(line: &str) -> u64 {
    match *words(line) {
        ["loop" | "concurrentloop", _, start, end, ..] => {
            let number = |text: &str| text.parse::<i64>().unwrap_or(0);
            u64::try_from(number(end).saturating_sub(number(start))).unwrap_or(0)
        }
        [_, _, ref values @ ..] => {
            let words = values.iter().filter(|value| !value.starts_with('!'));
            words.map(|value| built_in(value).map_or(1, |list| list.len() as u64)).sum()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_how_many_passes_a_loop_has() {
        for (line, expected) in [
            ("loop i 5 15", 10),
            ("concurrentloop i 0 100 # why", 100),
            ("loop i 3 1", 0),
            ("loop i -9223372036854775808 9223372036854775807", i64::MAX as u64),
            ("loop i 0 {n}", 0),
            ("foreach t a <Signed> !b c", 7),
            ("foreach a,b 1,2 3,4", 2),
            ("foreach", 1),
        ] {
            assert_eq!(passes(line), expected, "{line}");
        }
    }

    #[test]
    fn every_list_that_is_named_is_there() {
        let lengths: Vec<usize> = NAMES.split(", ").map(|name| built_in(name).unwrap().len()).collect();
        assert_eq!(lengths, [5, 5, 10, 12, 15, 9, 53]);
        assert_eq!(built_in("<Signed>"), built_in("<signed>"));
        assert_eq!(built_in("<strings>"), None);
    }
}
