//! Lists that `foreach` knows by name.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_that_is_named_is_there() {
        let lengths: Vec<usize> = NAMES.split(", ").map(|name| built_in(name).unwrap().len()).collect();
        assert_eq!(lengths, [5, 5, 10, 12, 15, 9, 53]);
        assert_eq!(built_in("<Signed>"), built_in("<signed>"));
        assert_eq!(built_in("<strings>"), None);
    }
}
