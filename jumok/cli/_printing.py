"""What commands print: lines of results, messages on standard error, and texts that stay on their line."""

from __future__ import annotations

import sys


def one_line(text: str) -> str:
    """A line out for a line in: whatever an output holds, it stays on its line."""
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ")


def put(line: str) -> None:
    """A line on standard output, all of it in one piece: Ctrl-C does not cut it from its line end, as it can with `print`."""
    sys.stdout.write(line + "\n")


def say(text: str) -> None:
    """A message on standard error."""
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """A warning on standard error."""
    say(f"warning: {text}")
