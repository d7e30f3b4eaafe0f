"""Changes of what Jumok does, each made in a scratch copy of the package by touching only the file that is its place; all run.

With `test_planting.py` these are the worked examples of "where would you change …?" in CONTRIBUTING.md.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from planted_files import change, contents, copy_of_the_package

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Change:
    """A change, and the files that it may touch.

    Attributes:
        what: as CONTRIBUTING.md has it; files: all that is touched, from the repository's root.
        make: given the scratch copy's root, makes the change as a person would.
    """

    what: str
    files: frozenset[str]
    make: Callable[[Path], None]


def length_penalty(root: Path) -> None:
    """A reward for each token (He et al. 2016) in place of the usual length penalty."""
    change(
        root / "jumok/decode/ranking.py",
        r'^((?:# .*\n)?NORMS: .*"power": )LengthPenalty\b',
        lambda found: (
            f'''@dataclass(frozen=True)
class TokenReward:
    """log-probability + reward · length."""

    reward: float

    def score(self, total: Any, length: Any, attention: Attention | None = None) -> Any:
        """See `Ranking`."""
        return total + self.reward * length

    def bound(self, total: Any, length: Any) -> Any:
        """The score itself."""
        return self.score(total, length)


{found[1]}TokenReward'''
        ),
    )


def rules(root: Path) -> None:
    """A forced token at the start, and no token twice in a row."""
    change(
        root / "jumok/decode/rules.py",
        r"^(NEVER = .*\n)(RULES: .*)\((Never\(NEVER\)),\)",
        r'''@dataclass(frozen=True)
class Begins:
    """The first token is this one."""

    token: int

    def __call__(self, past: Past, logits: np.ndarray) -> np.ndarray:
        """See `Rule`."""
        if not past.trail:
            logits[:, np.arange(logits.shape[1]) != self.token] = -np.inf
        return logits


def no_repeat(past: Past, logits: np.ndarray) -> np.ndarray:
    """No token twice in a row."""
    if past.trail:
        logits[np.arange(len(logits)), past.tokens()[:, -1]] = -np.inf
    return logits


\1\2(\3, Begins(5), no_repeat)''',
    )


def backend(root: Path) -> None:
    """One that counts its calls."""
    (root / "jumok/runtime/counting.py").write_text(
        '''"""A backend that counts its calls and leaves the work to the NumPy model."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jumok.runtime.folder import Folder
from jumok.runtime.model import NumpyModel


class CountingModel:
    """As `jumok.decode.backend.Backend`."""

    def __init__(self, folder: Folder) -> None:
        self.model, self.calls = NumpyModel(folder.config.model, folder.parameters), Counter[str]()

    def start(self, *arguments: Any) -> Any:
        self.calls["start"] += 1
        return self.model.start(*arguments)

    def step(self, *arguments: Any) -> Any:
        self.calls["step"] += 1
        return self.model.step(*arguments)

    def select(self, *arguments: Any) -> Any:
        self.calls["select"] += 1
        return self.model.select(*arguments)

    def score(self, *arguments: Any) -> Any:
        self.calls["score"] += 1
        return self.model.score(*arguments)
''',
        encoding="utf-8",
    )
    made = """def _counting(folder: Folder) -> Backend:
    from jumok.runtime.counting import CountingModel

    return CountingModel(folder)


"""
    change(
        root / "jumok/decode/backend.py",
        r"^((?:# .*\n)?BACKENDS: .*= \{\n)",
        lambda found: f'{made}{found[0]}    "counting": _counting,\n',
    )


def option(root: Path) -> None:
    """How far from 0 the weights start."""
    change(
        root / "jumok/config/training.py",
        r'^    reverse_source: bool = False\n    """(?:.|\n)*?"""\n',
        lambda found: f'{found[0]}    start_scale: float = 1.0\n    """Weights start this many times as far from 0."""\n',
    )
    change(
        root / "jumok/net/model.py",
        r"^( +)nn.init.uniform_\(.*\)\n",
        lambda found: f"{found[0]}{found[1]}w.data.mul_(config.start_scale)\n",
    )


def atomic_write(root: Path) -> None:
    """A journal of every file put in its place, alone or with its folder."""
    change(root / "jumok/disk.py", r"^TOKEN = .*\n", r"\g<0>JOURNAL: list[str] = []  # names of the files written\n")
    change(root / "jumok/disk.py", r"^        self.path = path\n", r"\g<0>        JOURNAL.append(path.name)\n")
    change(
        root / "jumok/disk.py",
        r"^def put_folder\((?:.*\n)*?(?=    old, moved = )",
        lambda found: f"{found[0]}    JOURNAL.extend(os.listdir(new))\n",
    )


def command(root: Path) -> None:
    """One that prints a vocabulary."""
    (root / "jumok/cli/tokens.py").write_text(
        '''"""The target tokens of a model: `jumok tokens`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from jumok.cli._options import Options, Positional
from jumok.places import ModelPath


@dataclass(frozen=True)
class Tokens(Options):
    """Print the target tokens of a model.

    jumok tokens model
    """

    model: Positional[ModelPath]
    """Model folder."""
    count: bool = False
    """Only how many there are."""


def tokens(o: Tokens, given: Collection[str]) -> int:
    from jumok.runtime import load

    vocabulary = load(o.model).codec.target.vocabulary
    print(len(vocabulary) if o.count else "\\n".join(vocabulary.tokens(range(len(vocabulary)))))
    return 0
''',
        encoding="utf-8",
    )


CHANGES = (
    Change("what outputs are ranked by, a length penalty", frozenset({"jumok/decode/ranking.py"}), length_penalty),
    Change("forbid or force tokens", frozenset({"jumok/decode/rules.py"}), rules),
    Change("a backend", frozenset({"jumok/runtime/counting.py", "jumok/decode/backend.py"}), backend),
    Change("an option of train", frozenset({"jumok/config/training.py", "jumok/net/model.py"}), option),
    Change("a command", frozenset({"jumok/cli/tokens.py"}), command),
    Change("an atomic write", frozenset({"jumok/disk.py"}), atomic_write),
)


def test_each_change_has_its_place_and_everything_runs_with_it(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path)
    for made in CHANGES:
        before = contents(tmp_path)
        made.make(tmp_path)
        after = contents(tmp_path)
        assert {file for file in after if after[file] != before.get(file)} == made.files, made.what
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # the script that CONTRIBUTING.md names fills in the docs and the signatures of public functions
    for script in ("docs/make_commands.py", str(ROOT / "tests" / "support" / "changed_run.py")):
        done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
