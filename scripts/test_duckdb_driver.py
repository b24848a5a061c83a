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
        capabilities = ["connections", "reopen", "require"]
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
        self.assertEqual(values["types"], ["INTEGER[]", "BOOLEAN", "DECIMAL(3,2)", "BLOB", "DATE", "INTERVAL"])
        self.assertEqual(none, {"result": [], "columns": 1, "types": ["INTEGER"]})
        self.assertEqual(changed["result"], [["1"]])
        self.assertEqual(twice["result"], [["1", "2"]])

    def test_connections_share_a_database_until_it_is_opened_again(self):
        def ask(sql, connection):
            return {"sql": sql, "dialect": "duckdb", "connection": connection}
        answers = self.talk(ask("CREATE TABLE t(a INT)", 0), ask("BEGIN", 1), ask("INSERT INTO t VALUES (1)", 1),
                            {"sql": "SELECT count(*) FROM t", "connection": 0}, ask("COMMIT", 1), {"close": 1},
                            {"sql": "SELECT count(*) FROM t", "connection": 0}, {"restart": {"extensions": True}},
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
