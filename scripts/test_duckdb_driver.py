"""Unit tests of engines/duckdb.py: `python3 -m unittest discover scripts`."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import unittest

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "engines", "duckdb.py")


def load():
    """The driver as a module, under another name than DuckDB's."""
    spec = importlib.util.spec_from_file_location("duckdb_driver", DRIVER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Dribble(io.RawIOBase):
    """A stream that returns one byte at a time."""

    def __init__(self, data):
        self.data = data

    def read1(self, _size):
        piece, self.data = self.data[:1], self.data[1:]
        return piece


class Requests(unittest.TestCase):
    def test_objects_need_no_line_ends_and_may_come_in_pieces(self):
        data = '{"sql":"SELECT \'é}{\'"}{"sql":"b"}\n {"sql":"c"}'.encode()
        expected = ["SELECT 'é}{'", "b", "c"]
        for stream in (io.BytesIO(data), Dribble(data)):
            self.assertEqual([request["sql"] for request in load().requests(stream)], expected)


@unittest.skipUnless(importlib.util.find_spec("duckdb"), "the Python package `duckdb` is not installed")
class Conversation(unittest.TestCase):
    def talk(self, *requests, protocol=None):
        environment = {name: value for name, value in os.environ.items() if name != "SLT_PROTOCOL"}
        if protocol:
            environment["SLT_PROTOCOL"] = protocol
        text = "".join(json.dumps(request) for request in requests)
        done = subprocess.run([sys.executable, DRIVER], input=text, env=environment, text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_runner_that_knows_no_extension_gets_strings(self):
        answers = self.talk({"sql": "CREATE TABLE t(a INTEGER)"}, {"sql": "INSERT INTO t VALUES (1), (NULL)"},
                            {"sql": "SELECT a, 1.50, true FROM t ORDER BY a"})
        self.assertEqual(answers[2], {"result": [["1", "1.50", "true"], ["NULL", "1.50", "true"]]})
        self.assertEqual([answer.get("result") for answer in answers[:2]], [[], []])

    def test_the_extension_brings_a_greeting_counts_types_and_sqlstate(self):
        greeting, *answers = self.talk(
            {"sql": "CREATE TABLE t(a INTEGER)", "dialect": "classic"},
            {"sql": "INSERT INTO t VALUES (1), (NULL)", "dialect": "classic"},
            {"sql": "SELECT a, a > 0 FROM t ORDER BY a", "letters": "II", "dialect": "classic"},
            {"sql": "SELECT )", "dialect": "classic"},
            protocol="1",
        )
        capabilities = ["connections", "reopen", "require", "scripts", "concurrent"]
        self.assertEqual(greeting, {"protocol": 1, "name": "duckdb", "capabilities": capabilities})
        self.assertEqual(answers[1], {"count": 2})
        self.assertEqual(answers[2], {"result": [[1, True], [None, None]], "columns": 2})
        self.assertEqual(answers[3]["sqlstate"], "42601")

    def test_it_goes_on_after_an_error(self):
        first, second = self.talk({"sql": "SELECT * FROM nothing"}, {"sql": "SELECT 1"})
        self.assertIn("nothing", first["err"])
        self.assertEqual(second, {"result": [["1"]]})

    def test_no_digit_of_a_great_number_is_lost(self):
        _, first, second = self.talk({"sql": "SELECT 36893488147419103232::HUGEINT", "letters": "I"},
                                     {"sql": "SELECT 12345678901234567890::UBIGINT", "letters": "I"}, protocol="1")
        self.assertEqual(first["result"], [["36893488147419103232"]])
        self.assertEqual(second["result"], [[12345678901234567890]])

    def test_sql_without_a_statement_changes_nothing(self):
        self.assertEqual(self.talk({"sql": ""}, {"sql": "-- nothing"}, protocol="1")[1:], [{"count": 0}] * 2)
        self.assertEqual(self.talk({"sql": "-- nothing"}), [{"result": []}])

    def test_in_duckdbs_dialect_values_are_its_own_text_and_have_types(self):
        def ask(sql):
            return {"sql": sql, "letters": "I", "dialect": "duckdb"}
        _, values, none, changed, twice = self.talk(
            ask("SELECT [1, NULL], true, 1.50, '\\xAA'::BLOB, NULL::DATE, INTERVAL 1 DAY"), ask("SELECT 1 WHERE false"),
            ask("CREATE TABLE t AS SELECT 1"), ask("SELECT 1 AS a, 2 AS a"), protocol="1")
        self.assertEqual(values["result"], [["[1, NULL]", True, "1.50", "\\xAA", None, "1 day"]])
        self.assertEqual(values["types"], ["", "BOOLEAN", "DECIMAL(3,2)", "", "", ""])
        self.assertEqual(none, {"result": [], "columns": 1, "types": ["INTEGER"]})
        self.assertEqual(changed["result"], [[1]])
        self.assertEqual(twice["result"], [[1, 2]])

    def test_values_of_all_sizes_and_null_among_them_come_back(self):
        def ask(sql):
            return {"sql": sql, "letters": "I", "dialect": "duckdb"}
        _, short, many, numbers, zone = self.talk(
            ask("SELECT unnest(['', 'twelve bytes', 'thirteen byte', NULL, 'é' || chr(0)])"),
            ask("SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE i END, [i] FROM range(5000) t(i)"),
            ask("SELECT -1::TINYINT, 255::UTINYINT, 18446744073709551615::UBIGINT, -1::HUGEINT, 1.5::FLOAT"),
            ask("SET TimeZone = 'America/New_York'; SELECT {'a': TIMESTAMPTZ '2020-01-01 00:00:00+00'}"), protocol="1")
        self.assertEqual(short["result"], [[""], ["twelve bytes"], ["thirteen byte"], [None], ["é\0"]])
        wanted = [[None if i % 3 == 0 else str(i), f"[{i}]"] for i in range(5000)]
        self.assertEqual(many["result"], wanted)
        self.assertEqual(numbers["result"], [["-1", "255", "18446744073709551615", "-1", "1.5"]])
        self.assertEqual(zone["result"], [["{'a': '2019-12-31 19:00:00-05'}"]])

    def test_a_script_finds_nothing_of_the_one_before(self):
        make = {"sql": "CREATE TABLE t(a INT)", "dialect": "duckdb", "connection": 0}
        answers = self.talk(make, make, {"script": None}, {"script": "next"}, make, protocol="1")[1:]
        self.assertIn("already exists", answers[1]["err"])
        self.assertEqual([answers[index] for index in (0, 2, 3, 4)], [{"count": 0}] * 4)

    def test_requests_with_an_id_run_at_the_same_time(self):
        def ask(sql, connection, letters=None):
            letters = {"letters": letters} if letters else {}
            return {"sql": sql, "dialect": "duckdb", "connection": connection, "id": connection, **letters}
        wait = "WITH RECURSIVE w(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM w WHERE i < 3) SELECT max(i) FROM w"
        environment = {**os.environ, "SLT_PROTOCOL": "1"}
        driver = subprocess.Popen([sys.executable, DRIVER], env=environment, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            driver.stdout.readline()
            for request in (ask("SELECT count(*) FROM range(1000000000) a, range(1000) b", 1, "I"), ask(wait, 2, "I")):
                driver.stdin.write(json.dumps(request))
            driver.stdin.flush()
            # The first one would take hours.
            self.assertEqual(json.loads(driver.stdout.readline()),
                             {"result": [[3]], "columns": 1, "types": ["INTEGER"], "id": 2})
        finally:
            driver.kill()
            driver.wait()
            driver.stdin.close()
            driver.stdout.close()

    def test_connections_share_a_database_until_it_is_opened_again(self):
        def ask(sql, connection):
            return {"sql": sql, "dialect": "duckdb", "connection": connection}
        count = {**ask("SELECT count(*) FROM t", 0), "letters": "I"}
        answers = self.talk(ask("CREATE TABLE t(a INT)", 0), ask("BEGIN", 1), ask("INSERT INTO t VALUES (1)", 1),
                            count, ask("COMMIT", 1), {"close": 1},
                            count, {"restart": {"extensions": True}},
                            ask("SELECT * FROM t", 2), {"open": {"path": None, "read_only": False, "version": None}},
                            protocol="1")[1:]
        self.assertEqual((answers[3]["result"], answers[6]["result"]), ([[0]], [[1]]))
        self.assertEqual([answers[index] for index in (5, 7, 9)], [{"count": 0}] * 3)
        self.assertIn("does not exist", answers[8]["err"])

    def test_what_is_required_is_there_or_not(self):
        answers = self.talk({"require": ["core_functions"]}, {"require": ["no_such_extension"]}, protocol="1")[1:]
        self.assertEqual(answers, [{"met": True}, {"met": False}])

    def test_nothing_to_read_is_the_end(self):
        self.assertEqual(self.talk(), [])


if __name__ == "__main__":
    unittest.main()
