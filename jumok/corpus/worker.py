"""One process of a crew: `python -m jumok.corpus.worker WORK` answers tasks from standard input on standard output."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys

from jumok.corpus.crew import WORKS, receive


def main(work: str) -> None:
    """Answers until there are no more tasks, or the crew has gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    first = receive(sys.stdin.buffer)
    if first is None:
        return
    do = WORKS[work](first[0])
    gc.disable()  # it would look through a block's million strings again and again, and what is made here has no cycles
    with contextlib.suppress(BrokenPipeError):
        while task := receive(sys.stdin.buffer):
            answers.write(json.dumps(do(*task)).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
