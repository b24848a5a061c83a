#!/usr/bin/env python3
"""Builds the test target and runs its files over several supervised worker processes.

    python3 scripts/run_parallel_tests.py --workers 4 --time-budget 300 [FILTERS] [-- FLAGS]

The test binary does all the work (`cargo test --test slt -- --help` lists its flags); this script only translates the
command line of earlier tools. The exit code is the binary's.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def parse(arguments):
    """The options of a command line, without the program's name."""
    if "--" in arguments:
        at = arguments.index("--")
        arguments, passed_on = arguments[:at], arguments[at + 1 :]
    else:
        passed_on = []
    parser = argparse.ArgumentParser(
        description="Run SQLLogicTest files over several worker processes.",
        epilog="What follows `--` goes to the test binary unchanged; "
        "`cargo test --test slt -- --help` lists its flags.",
    )
    parser.add_argument("filters", nargs="*", metavar="FILTER", help="run only files whose name contains this")
    parser.add_argument("--workers", type=count, metavar="N",
                        help="worker processes (default: SLT_WORKERS, or one for each processor)")
    parser.add_argument("--time-budget", "--time", type=seconds, metavar="SECS",
                        help="start no further file after this time (default: SLT_TIME_BUDGET, or no limit)")
    parser.add_argument("--file-timeout", "--timeout", type=seconds, metavar="SECS",
                        help="time limit for one file (default: SLT_FILE_TIMEOUT, or no limit)")
    parser.add_argument("--seed", type=int, metavar="N", help="shuffle files of equal rank by this seed")
    parser.add_argument("--results", metavar="DIR", help="folder for results, history, logs and queue")
    parser.add_argument("--corpus", metavar="DIR", help="folder with test files, instead of the bundled ones")
    parser.add_argument("--debug", action="store_true", help="build without optimisation")
    options = parser.parse_args(arguments)
    options.passed_on = passed_on
    return options


def count(text):
    """A whole number above 0. Checked here too, because building the binary may take minutes."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number above 0")
    return text


def seconds(text):
    """A time above 0, possibly with decimals."""
    try:
        wrong = not 0 < float(text) < float("inf")
    except ValueError:
        wrong = True
    if wrong:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of seconds above 0")
    return text


def binary_arguments(options):
    """The test binary's command line for these options."""
    arguments = ["--parallel"]
    if options.workers is None and not (os.environ.get("SLT_WORKERS") or os.environ.get("SQLLOGICTEST_WORKERS")):
        options.workers = os.cpu_count() or 1
    for flag, value in [
        ("--workers", options.workers),
        ("--time-budget", options.time_budget),
        ("--file-timeout", options.file_timeout),
        ("--seed", options.seed),
        ("--results", options.results and os.path.abspath(options.results)),
        ("--root", options.corpus and os.path.abspath(options.corpus)),
    ]:
        if value is not None:
            arguments += [flag, str(value)]
    return arguments + options.filters + options.passed_on


def build(debug):
    """Builds the test target and returns the path of its binary."""
    command = ["cargo", "test", "--test", "slt", "--no-run", "--message-format", "json-render-diagnostics"]
    if not debug:
        command.append("--release")
    built = subprocess.run(command, cwd=PACKAGE, stdout=subprocess.PIPE, check=False)
    if built.returncode != 0:
        sys.exit(built.returncode)
    binary = find_binary(built.stdout.decode("utf-8").splitlines())
    if binary is None:
        sys.exit("error: cargo built no test target `slt`")
    return binary


def find_binary(messages):
    """The executable of the test target `slt` in cargo's JSON messages."""
    for message in messages:
        message = json.loads(message) if message.startswith("{") else {}
        target = message.get("target", {})
        if message.get("executable") and target.get("name") == "slt" and "test" in target.get("kind", []):
            return message["executable"]
    return None


def main(arguments):
    """Builds the binary, translates the options, runs the binary."""
    options = parse(arguments)
    binary = build(options.debug)
    os.environ["CARGO_MANIFEST_DIR"] = str(PACKAGE)
    os.chdir(PACKAGE)
    os.execv(binary, [binary, *binary_arguments(options)])


if __name__ == "__main__":
    main(sys.argv[1:])
