"""Unit tests of run_parallel_tests.py: `python3 -m unittest discover scripts`."""

import contextlib
import io
import os
import unittest
import unittest.mock

import run_parallel_tests as script


class CommandLine(unittest.TestCase):
    def arguments(self, *words):
        return script.binary_arguments(script.parse(list(words)))

    def test_what_users_of_earlier_tooling_type_is_translated(self):
        self.assertEqual(
            self.arguments("--workers", "4", "--time-budget", "300"),
            ["--parallel", "--workers", "4", "--time-budget", "300"],
        )

    def test_without_a_number_there_is_a_worker_for_each_processor(self):
        with unittest.mock.patch.dict(os.environ):
            os.environ.pop("SLT_WORKERS", None)
            os.environ.pop("SQLLOGICTEST_WORKERS", None)
            self.assertEqual(self.arguments(), ["--parallel", "--workers", str(os.cpu_count())])

    def test_a_number_in_the_environment_is_left_to_the_binary(self):
        with unittest.mock.patch.dict(os.environ, {"SLT_WORKERS": "3"}):
            self.assertEqual(self.arguments(), ["--parallel"])
            self.assertEqual(self.arguments("--workers", "4"), ["--parallel", "--workers", "4"])

    def test_times_may_have_decimals(self):
        line = self.arguments("--workers", "1", "--time", "0.5", "--timeout", "2.5")
        self.assertEqual(line[3:], ["--time-budget", "0.5", "--file-timeout", "2.5"])

    def test_folders_are_the_callers(self):
        self.assertEqual(self.arguments("--workers", "1", "--corpus", "x")[-2:], ["--root", os.path.abspath("x")])

    def test_filters_and_what_stands_behind_the_dashes_are_passed_on(self):
        line = self.arguments("--workers", "2", "select", "joins", "--", "--format", "json")
        self.assertEqual(line, ["--parallel", "--workers", "2", "select", "joins", "--format", "json"])

    def test_what_cannot_be_used_is_an_error_of_code_2(self):
        for words in (["--workers", "0"], ["--time-budget", "-1"], ["--time-budget", "abc"], ["--time-budget", "nan"],
                      ["--workers", "x"], ["--workers", "1.5"], ["--frobnicate"]):
            with self.assertRaises(SystemExit) as exit_, contextlib.redirect_stderr(io.StringIO()) as complaint:
                script.parse(words)
            self.assertEqual(exit_.exception.code, 2)
            self.assertIn(words[0], complaint.getvalue())


class CargoMessages(unittest.TestCase):
    def test_the_test_target_is_found_among_other_artifacts(self):
        messages = [
            '{"reason":"compiler-artifact","target":{"name":"slt","kind":["bin"]},"executable":"/t/slt"}',
            "not json",
            '{"reason":"compiler-artifact","target":{"name":"it","kind":["test"]},"executable":"/t/it-1"}',
            '{"reason":"compiler-artifact","target":{"name":"slt","kind":["test"]},"executable":"/t/slt-2"}',
        ]
        self.assertEqual(script.find_binary(messages), "/t/slt-2")

    def test_without_one_there_is_none(self):
        self.assertIsNone(script.find_binary(['{"reason":"build-finished","success":true}']))


if __name__ == "__main__":
    unittest.main()
