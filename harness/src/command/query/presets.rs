//! The presets: queries about past runs that users often need.

use crate::command::error::CommandError;

/// A preset is a query with a name.
struct Preset {
    name: &'static str,
    asks: &'static str,
    sql: &'static str,
}

const PRESETS: [Preset; 8] = [
    Preset {
        name: "failed-files",
        asks: "files that failed when they were last run, known to or not, with their first failure",
        sql: "\
SELECT f.file_path, f.verdict, f.last_tested, r.error_at, r.error_message
FROM test_files f JOIN test_results r ON r.run = f.last_run AND r.file_path = f.file_path AND r.verdict = f.verdict
WHERE f.failing OR f.verdict = 'known_failure'
GROUP BY f.file_path
ORDER BY f.file_path",
    },
    Preset {
        name: "progress",
        asks: "the pass rate from run to run, and which runs were of a part of the suite",
        sql: "\
SELECT run, run_id, started_at, passed, failing, not_run, pass_rate,
       round(pass_rate - lag(pass_rate) OVER (PARTITION BY scope ORDER BY run), 1) AS change, scope
FROM test_runs
ORDER BY run",
    },
    Preset {
        name: "by-category",
        asks: "how many files of each category pass, each by its last result",
        sql: "\
SELECT category, count(*) AS files, sum(passed) AS passed, sum(failing) AS failing,
       count(*) FILTER (WHERE verdict = 'known_failure') AS known,
       count(*) FILTER (WHERE verdict = 'ignored' OR verdict IS NULL) AS unchecked,
       (1000 * sum(passed) / nullif(count(*) FILTER (WHERE verdict <> 'ignored'), 0)) / 10.0 AS pass_rate
FROM test_files
GROUP BY category
ORDER BY category",
    },
    Preset {
        name: "failing-by-category",
        asks: "the categories with failing files, the most first",
        sql: "\
SELECT category, sum(failing) AS failing, count(*) AS files
FROM test_files
GROUP BY category
HAVING sum(failing) > 0
ORDER BY failing DESC, category",
    },
    Preset {
        name: "flaky-tests",
        asks: "files that passed and failed within one run, or went from one to the other more than once",
        sql: "\
WITH steps AS (
  SELECT file_path, run, verdict, passed,
         lag(passed) OVER each_file AS passed_before, lag(run) OVER each_file AS run_before
  FROM test_results
  WHERE verdict NOT IN ('ignored', 'not_run')
  WINDOW each_file AS (PARTITION BY file_path ORDER BY run, pass)
)
SELECT file_path, sum(passed) AS passes, sum(NOT passed) AS failures, sum(passed <> passed_before) AS changes,
       sum(verdict = 'flaky' OR (passed <> passed_before AND run = run_before)) AS within_a_run
FROM steps
GROUP BY file_path
HAVING within_a_run > 0 OR changes > 1
ORDER BY within_a_run DESC, changes DESC, file_path",
    },
    Preset {
        name: "recent-runs",
        asks: "the last twenty runs, the newest first",
        sql: "\
SELECT run, run_id, engine, started_at, planned, passed, failing, known_failures AS known, ignored, not_run, pass_rate,
       round(duration_ms / 1000.0, 1) AS seconds
FROM test_runs
ORDER BY run DESC
LIMIT 20",
    },
    Preset {
        name: "untested",
        asks: "files that no run has checked since the last one of the whole suite (with --root, those never seen too)",
        sql: "\
WITH whole(run) AS (SELECT coalesce(max(run) FILTER (WHERE scope IS NULL), max(run)) FROM test_runs)
SELECT file_path,
       CASE WHEN last_run IS NULL THEN 'never run'
            WHEN last_run < whole.run THEN 'not run last time'
            ELSE 'nothing in it applies' END AS why,
       last_tested
FROM test_files, whole
WHERE last_run IS NULL OR last_run < whole.run OR verdict = 'ignored'
ORDER BY why, file_path",
    },
    Preset {
        name: "slow-tests",
        asks: "the twenty files that took longest when they were last run",
        sql: "\
SELECT f.file_path, f.verdict, f.duration_ms AS last_ms,
       round(avg(r.duration_ms), 1) AS mean_ms, max(r.duration_ms) AS most_ms
FROM (SELECT * FROM test_files WHERE times_run > 0 ORDER BY duration_ms DESC, file_path LIMIT 20) f
JOIN test_results r ON r.file_path = f.file_path AND r.verdict NOT IN ('ignored', 'not_run')
GROUP BY f.file_path
ORDER BY last_ms DESC, f.file_path",
    },
];

/// The SQL of a preset.
///
/// # Errors
/// There is no preset with this name.
pub(super) fn sql(name: &str) -> Result<&'static str, CommandError> {
    let known = || PRESETS.iter().map(|preset| format!("`{}`", preset.name)).collect::<Vec<_>>().join(", ");
    let preset = PRESETS.iter().find(|preset| preset.name == name);
    preset.map(|preset| preset.sql).ok_or_else(|| CommandError::UnknownPreset { name: name.to_owned(), known: known() })
}

/// All presets as text, each with its SQL, which users can start their own queries from.
pub(super) fn list() -> String {
    let mut text = String::new();
    for Preset { name, asks, sql } in &PRESETS {
        let separator = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{separator}{name}: {asks}\n"));
        for line in sql.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}
