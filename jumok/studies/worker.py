"""Does one run, from its `run.json` to its `result.json`; also as a process, `python -m jumok.studies.worker FOLDER DATA`."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from jumok.errors import JumokError
from jumok.processes import when_the_parent_ends
from jumok.studies.plan import RESULT, RUN, Interrupted, Task, as_json, read_json, write_whole

SCHEMA = "jumok.study.run/1"


def work(folder: Path, data: Path) -> dict[str, Any]:
    """Does the run that is described in `folder`, and writes its result when it is done."""
    from jumok.studies.studies import STUDIES

    spec = read_json(folder / RUN)
    start = time.perf_counter()
    measured = STUDIES[spec["study"]].work(Task(folder, data, spec["options"], spec["settings"]))
    result = {
        "schema": SCHEMA,
        **{name: spec[name] for name in ("study", "variant", "seed", "fingerprint", "made_from")},
        "seconds": time.perf_counter() - start,
        "measured": measured,
    }
    write_whole(folder / RESULT, as_json(result))
    return result


def main(arguments: list[str]) -> int:
    """Exit status: 0, 2 for an error that the user can correct, 1 for our own mistakes, 128 plus the number for a signal."""
    when_the_parent_ends(lambda: os._exit(1))
    try:
        work(Path(arguments[0]), Path(arguments[1]))
    except Interrupted as e:
        return 128 + e.number
    except KeyboardInterrupt:
        return 130
    except JumokError as e:
        print(f"jumok: {e}", file=sys.stderr)
        return e.exit_code
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
