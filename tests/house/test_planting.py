"""Something new is planted in a scratch copy of the package, in its home and nowhere else; then everything runs with it.

These are the worked examples of "where would you change …?": the files named are all that has to be touched.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from planted_files import change, contents, copy_of_the_package

ROOT = Path(__file__).resolve().parents[2]

# where things live, from the repository's root
CONFIG = "jumok/config/training.py"
SCORES = "jumok/scores.py"
WINDOWS = "jumok/windows.py"
SCHEDULES = "jumok/schedules.py"
METRICS = "jumok/measure/metrics.py"
TOKENIZERS = "jumok/text/tokenizers.py"
CELLS = "jumok/runtime/cells.py"
TORCH_CELLS = "jumok/net/cells.py"


@dataclass(frozen=True)
class Plant:
    """Something new.

    Attributes:
        name: what it is called; option: the option of `train` that takes it; literal: the type in config.py that lists names.
        entries: file -> the table in it, the new entry, and code that stands before the table.
        study: one that is done with it; more: further options that training needs.
    """

    name: str
    option: str
    literal: str
    entries: dict[str, tuple[str, str, str]]
    study: str
    more: tuple[str, ...] = field(default=())

    @property
    def files(self) -> set[str]:
        """All that is touched."""
        return {CONFIG, *self.entries}

    def put_into(self, folder: Path) -> None:
        """Makes the change, as a person would."""
        change(folder / CONFIG, rf"^{self.literal} = Literal\[", rf'\g<0>"{self.name}", ')
        for file, (table, entry, code) in self.entries.items():
            lines = code and f"{code}\n\n"
            change(folder / file, rf"^{table}: .*= \{{$", lambda found, l=lines, e=entry: f"{l}{found[0]}\n    {e},")


SCORE = Plant(
    "scaled-bilinear",
    "attention",
    "AttentionName",
    {
        SCORES: (
            "SCORES",
            """"scaled-bilinear": Score(
        shapes=lambda H, A, L: {"W_x": (A, H), "W_y": (A, H)},
        keys=lambda xp, p, memory: xp.exp(xp.tanh(memory @ p["W_x"].swapaxes(-1, -2))),
        score=lambda xp, p, query, keys: (query @ p["W_y"].swapaxes(-1, -2)) @ keys.swapaxes(-1, -2) / keys.shape[-1] ** 0.5,
        formula="(W_y h_t) · exp tanh(W_x h̄_s) / √A",
        source="nowhere",
    )""",
            "",
        )
    },
    "scores",
)
WINDOW = Plant(
    "soft",
    "window",
    "WindowName",
    {
        WINDOWS: (
            "WINDOWS",
            """"soft": Window(
        shapes=lambda H, A: {"w_s": (H,)},
        prior=_soft,
        formula="exp(-|s - t| / D + w_s · h_t)",
        source="nowhere",
    )""",
            """def _soft(xp: Any, p: Parameters, query: Array, mask: Array, steps: Array, size: int) -> Array:
    position, _ = _positions(xp, query, mask)
    return (query @ p["w_s"])[..., None] - xp.abs(position - steps[:, None]) / size
""",
        )
    },
    "scores",
)
CELL = Plant(
    "relu",
    "cell",
    "CellName",
    {
        CELLS: (
            "CELLS",
            """"relu": Cell(
        gates=1,
        parts=1,
        arrange=np.ascontiguousarray,
        step=lambda x, state, w_hh: (np.maximum(state[0] @ w_hh + x, 0),),
        title="ReLU network",
        formula="h' = max(0, W x + U h + b)",
        source="Le, Jaitly & Hinton 2015",
    )""",
            "",
        ),
        TORCH_CELLS: (
            "CELLS",
            '"relu": TorchCell(lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k), lambda x, u, state: ((x + u).relu(),))',
            "",
        ),
    },
    "gradients",
)
METRIC = Plant(
    "first-letter-errors",
    "metric",
    "MetricName",
    {
        METRICS: (
            "METRICS",
            """"first-letter-errors": Metric(
        "first-letter-errors", _first, unit="%", higher_is_better=False, needs=None, title="errors in the first letter"
    )""",
            """def _first(hypotheses: Sequence[str], references: References, options: MeasureOptions) -> Measured:
    wrong = np.array([h[:1] not in {r[:1] for r in refs} for h, refs in zip(hypotheses, references, strict=True)], float)
    counts = np.stack([wrong, np.ones_like(wrong)], axis=1)
    return Measured("first-letter-errors", 100 * float(wrong.mean()), "first|" + _signature(references, options), {}, counts)
""",
        )
    },
    "bottleneck",
)
TOKENIZER = Plant(
    "twos",
    "target-tokenizer",
    "TokenizerName",
    {
        TOKENIZERS: (
            "TOKENIZERS",
            '"twos": TwosTokenizer',
            '''@final
class TwosTokenizer(Tokenizer):
    """Two characters at a time."""

    name = "twos"

    def cut(self, texts: Iterable[str]) -> list[list[str]]:
        return [[t[i : i + 2] for i in range(0, len(t), 2)] for t in texts]

    def word_indices(self, tokens: Sequence[str]) -> list[int]:
        return [-1 if t.isspace() else "".join(tokens[:i]).count(" ") for i, t in enumerate(tokens)]

    def join(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)
''',
        )
    },
    "exposure",
    ("--source-tokenizer", "twos"),
)
STAIRS = Plant(
    "stairs",
    "teacher-forcing",
    "TeacherForcingName",
    {
        SCHEDULES: (
            "TEACHER_FORCING",
            '"stairs": Forcing(lambda progress, end: max(end, 1 - int(4 * progress) / 4), "gold falls in four steps", mixed=True)',
            "",
        )
    },
    "exposure",
)
ROOT_DECAY = Plant(
    "root",
    "decay",
    "DecayName",
    {SCHEDULES: ("DECAYS", '"root": lambda progress: (1 - progress) ** 0.5', "")},
    "faithful",
)
PLANTS = (SCORE, WINDOW, CELL, METRIC, TOKENIZER, STAIRS, ROOT_DECAY)
CASES = {"attention": PLANTS[:2], "cell and tokenizer": (CELL, TOKENIZER), "metric and schedules": (METRIC, STAIRS, ROOT_DECAY)}


@pytest.mark.slow
@pytest.mark.parametrize("what", CASES)
def test_everything_runs_with_something_new(what, tmp_path):
    copy_of_the_package(tmp_path)
    for plant in CASES[what]:
        before = contents(tmp_path)
        plant.put_into(tmp_path)
        after = contents(tmp_path)
        assert {file for file in after if after[file] != before.get(file)} == plant.files
    told = json.dumps([{"name": p.name, "option": p.option, "more": p.more, "study": p.study} for p in CASES[what]])
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "planted_run.py"), told],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
