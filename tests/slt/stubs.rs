// One empty function for each test file, so that rust-analyzer's test explorer lists them; the compiler drops these.
// Written by `slt stubs`; after adding or removing test files, run it again.

#[allow(non_snake_case)]
mod ddl {
    #[test]
    fn alter_table_test() {}

    #[test]
    fn constraints_test() {}

    #[test]
    fn create_table_test() {}

    #[test]
    fn foreign_keys_test() {}

    #[test]
    fn generated_columns_slt() {}

    #[test]
    fn savepoints_slt() {}

    #[test]
    fn transactions_test() {}

    #[test]
    fn trigger_counts_slt() {}

    #[test]
    fn triggers_test() {}

    #[test]
    fn upsert_slt() {}

    #[test]
    fn views_test() {}
}

#[allow(non_snake_case)]
mod duckdb {
    #[test]
    fn concurrent_duckdb_test__x2e() {}

    #[test]
    fn databases_duckdb_test__x2e() {}

    #[test]
    fn errors_duckdb_test__x2e() {}

    #[test]
    fn files_duckdb_test__x2e() {}

    #[test]
    fn loops_duckdb_test__x2e() {}

    #[test]
    fn names_duckdb_test__x2e() {}

    #[test]
    fn results_duckdb_test__x2e() {}

    #[test]
    fn settings_duckdb_test__x2e() {}

    #[test]
    fn skipped_duckdb_test__x2e() {}
}

#[allow(non_snake_case)]
mod evidence {
    mod directives {
        #[test]
        fn cells_slt() {}

        #[test]
        fn comments_test() {}

        #[test]
        fn conditions_slt() {}

        #[test]
        fn conditions_test() {}

        #[test]
        fn connection_include_slt() {}

        #[test]
        fn connections_slt() {}

        #[test]
        fn errors_slt() {}

        #[test]
        fn first_lines_slt() {}

        #[test]
        fn halt_at_end_test() {}

        #[test]
        fn halt_slt() {}

        #[test]
        fn halt_test() {}

        #[test]
        fn hashes_slt() {}

        #[test]
        fn ignore_slt() {}

        #[test]
        fn include_slt() {}

        #[test]
        fn labels_test() {}

        #[test]
        fn modes_slt() {}

        #[test]
        fn retry_slt() {}

        #[test]
        fn separators_test() {}

        #[test]
        fn subtest_slt() {}

        #[test]
        fn system_slt() {}

        #[test]
        fn variables_slt() {}
    }

    mod format {
        #[test]
        fn integers_test() {}

        #[test]
        fn reals_test() {}

        #[test]
        fn text_test() {}
    }

    mod functions {
        #[test]
        fn casts_test() {}

        #[test]
        fn dates_slt() {}

        #[test]
        fn like_glob_slt() {}

        #[test]
        fn numbers_test() {}

        #[test]
        fn strings_test() {}
    }

    mod nulls {
        #[test]
        fn coalesce_nullif_slt() {}

        #[test]
        fn in_with_null_test() {}

        #[test]
        fn is_distinct_slt() {}

        #[test]
        fn three_valued_test() {}
    }
}

#[allow(non_snake_case)]
mod index {
    #[test]
    fn between_test() {}

    #[test]
    fn expression_test() {}

    #[test]
    fn in_list_slt() {}

    #[test]
    fn multi_column_test() {}

    #[test]
    fn order_by_test() {}

    #[test]
    fn partial_test() {}

    #[test]
    fn reindex_slt() {}

    #[test]
    fn unique_test() {}
}

#[allow(non_snake_case)]
mod random {
    #[test]
    fn aggregates_test() {}

    #[test]
    fn arithmetic_slt() {}

    #[test]
    fn expressions_test() {}

    #[test]
    fn group_by_test() {}

    #[test]
    fn select_mix_test() {}

    #[test]
    fn sorted_slt() {}
}

#[allow(non_snake_case)]
mod select {
    #[test]
    fn case_test() {}

    #[test]
    fn cte_recursive_slt() {}

    #[test]
    fn cte_test() {}

    #[test]
    fn distinct_test() {}

    #[test]
    fn literals_test() {}

    #[test]
    fn order_limit_test() {}

    #[test]
    fn set_operations_test() {}

    #[test]
    fn window_frames_slt() {}

    #[test]
    fn window_test() {}

    mod joins {
        #[test]
        fn inner_left_test() {}

        #[test]
        fn natural_using_test() {}

        #[test]
        fn right_full_slt() {}

        #[test]
        fn self_cross_test() {}
    }

    mod subqueries {
        #[test]
        fn exists_test() {}

        #[test]
        fn in_slt() {}

        #[test]
        fn scalar_test() {}
    }
}
