#!/usr/bin/env python3
"""Makes docs/picture/run.svg: a picture of a real run of the scripts in docs/picture/tests.

    pip install rich
    python3 docs/picture/make.py

It builds the project's own test target first, so that the picture shows only the run.
"""

import io
import os
import re
import subprocess
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
COMMAND = ["cargo", "test", "--test", "slt"]
TESTS = "docs/picture/tests"


def run() -> str:
    """Runs the command and returns what it prints, with its colours."""
    # A dumb terminal gets no progress bar, which only a terminal could draw.
    environment = {**os.environ, "SLT_CORPUS": TESTS, "CARGO_TERM_COLOR": "always", "TERM": "dumb"}
    subprocess.run([*COMMAND, "--no-run"], cwd=ROOT, env=environment, check=True)
    ended = subprocess.run(
        COMMAND, cwd=ROOT, env=environment, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    # One file fails on purpose, and that is the exit code of a failed test.
    if ended.returncode != 101:
        raise SystemExit(f"exit code {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def shown(output: str) -> str:
    """The output of our own program, without what cargo prints around it."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("running "))
    end = next(number for number, line in enumerate(lines) if line.startswith("test result"))
    return "\n".join(lines[start : end + 1])


def main() -> None:
    text = Text.from_ansi(f"\x1b[1m$ {' '.join(COMMAND)}\x1b[0m\n\n{shown(run())}")
    width = max(len(line) for line in text.plain.splitlines()) + 1
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title="slt", theme=DIMMED_MONOKAI)
    # The reader's own monospaced font will do: the picture loads nothing.
    (FOLDER / "run.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
