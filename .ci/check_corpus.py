"""Compares the JSON events of corpus runs with the verdicts that are known to be right, and with each other.

    check_corpus.py EXPECTED RUN.json [RUN.json ...]

EXPECTED holds a line `verdict path` for each file that does not pass, and a line `files N`. Every run must come to
these verdicts, and to the same record counts, file by file. Exits with 1 and a line for each difference.
"""

import json
import sys


def outcomes(path):
    """The verdict and record counts of each file in one run."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["type"] == "test" and event["event"] != "started":
                counts = tuple(sorted(event["records"].items()))
                if event["path"] in found:
                    complain(f"{path}: {event['path']} has two outcomes")
                found[event["path"]] = (event["event"], counts)
    return found


errors = []


def complain(message):
    """Notes a difference."""
    errors.append(message)
    print(message)


def main(expected_path, first, *others):
    """Compares; see above."""
    expected, count = {}, 0
    with open(expected_path, encoding="utf-8") as lines:
        for verdict, value in (line.split(maxsplit=1) for line in lines if line.strip()):
            if verdict == "files":
                count = int(value)
            else:
                expected[value.strip()] = verdict
    reference = outcomes(first)
    if len(reference) != count:
        complain(f"{first}: {len(reference)} files instead of {count}")
    for path, (verdict, _) in reference.items():
        if verdict != expected.get(path, "ok"):
            complain(f"{path}: {verdict} instead of {expected.get(path, 'ok')}")
    for path in expected.keys() - reference.keys():
        complain(f"{path}: not run")
    for other in others:
        found = outcomes(other)
        for path in reference.keys() | found.keys():
            if reference.get(path) != found.get(path):
                complain(f"{path}: {reference.get(path)} in {first}, {found.get(path)} in {other}")
    records = sum(dict(counts)["passed"] + dict(counts)["failed"] for _, counts in reference.values())
    print(f"{len(reference)} files, {records} records checked, {1 + len(others)} runs compared")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
