"""Runs some of DuckDB's own tests on DuckDB, and compares what becomes of them with what is known to be right.

    check_duckdb.py EXPECTED FOLDER SLT ENGINE

EXPECTED holds a line `verdict path` for each file that runs. FOLDER holds `test` and `data`. Exits with 1 and a line for
each difference.
"""

import json
import os
import subprocess
import sys
import tempfile


def main(expected, folder, slt, engine):
    """Compares, and returns the exit code."""
    with open(expected, encoding="utf-8") as lines:
        wanted = dict(reversed(line.split()) for line in lines if not line.startswith("#"))
    if not wanted:
        sys.exit(f"error: {expected} names no file")
    slt = os.path.abspath(slt)
    with tempfile.TemporaryDirectory() as results:
        environment = {**os.environ, "SLT_FILES": ",".join(wanted), "SLT_ENGINE": engine}
        command = [slt, "run", "--root", "test", "--exact", "--dialect", "duckdb", "--parallel", "--workers", "2",
                   "--file-timeout", "60", "--results", results, "--quiet"]
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        with open(os.path.join(results, "results.json"), encoding="utf-8") as file:
            outcomes = {outcome["name"]: outcome for outcome in json.load(file)["outcomes"]}
    wrong = [f"the run ended with {done.returncode}"] if done.returncode not in (0, 101) else []
    for name, verdict in sorted(wanted.items()):
        outcome = outcomes.pop(name, {"verdict": "missing"})
        if outcome["verdict"] != verdict:
            first = next(iter(outcome.get("failures", [])), {"message": outcome.get("reason", "")})
            wrong.append(f"{name} should be `{verdict}` and is `{outcome['verdict']}`: {first['message']}")
    wrong.extend(f"{name} was not to run" for name in sorted(outcomes))
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    print(f"{len(wanted)} files, {len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
