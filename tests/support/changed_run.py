"""What `test_changing.py` runs in a scratch copy of the package: all of Jumok, with its changes.

changed_run.py, in a folder as `planted_files.copy_of_the_package` makes it
"""

import inspect
import io
import json
import runpy
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

import numpy as np

import jumok
from jumok import disk
from jumok.cli import main
from jumok.decode.backend import BACKENDS
from jumok.decode.translator import Translator
from jumok.explain import align
from jumok.learn.profile import limit
from jumok.measure.evaluating import evaluate
from jumok.runtime.folder import read_folder
from jumok.text import Pair

TINY = "--hidden 8 --embedding 8 --readout-size 8 --batch-size 16 --steps 3 --threads 1 --matmul default --precision float32"
WORDS = ["abc", "de", "abcde"]


def call(*arguments: str) -> str:
    """What a command prints; it has to succeed."""
    said = io.StringIO()
    with redirect_stdout(said):
        status = main([str(a) for a in arguments])
    assert status == 0, (arguments, status)
    return said.getvalue()


def train(out: str, *more: str) -> None:
    call("train", "pairs.tsv", "--dev", "dev.tsv", "--out", out, "--quiet", *TINY.split(), *more)


def everything_runs() -> None:
    """Training, use, and a study; what is written is journalled."""
    train("model", "--profile")
    call("evaluate", "model", "dev.tsv")
    call("align", "model", "dev.tsv")
    call("explain", "model", "abc", "--out", "picture.svg")
    data = ("pairs.tsv", "--dev", "dev.tsv", "--test", "dev.tsv")
    call("study", "scores", *data, "--out", "study", "--seeds", "1", "--variants", "dot", *TINY.split(), "--start-scale", "0.5")


def ranked_by_the_new_penalty() -> None:
    for options in ((), ("--beam", "3", "--nbest", "2", "--length-penalty", "0.7")):
        reward = 0.7 if options else 1.0
        for line in call("translate", "model", "lines.txt", "--json", *options).splitlines():
            entry = json.loads(line)
            for t in (entry, *entry["alternatives"]):
                wanted = t["log_probability"] + reward * len(t["tokens"])
                assert abs(t["score"] - wanted) < 1e-5 * abs(t["log_probability"]), t
            scores = [t["score"] for t in (entry, *entry["alternatives"])]
            assert scores == sorted(scores, reverse=True)


def forced_and_forbidden(model: Translator) -> None:
    first = model.codec.target.vocabulary.tokens([5])[0]
    one, many = [model.translate(word) for word in WORDS], model.translate(WORDS)
    assert [t.tokens for t in one] == [t.tokens for t in many]
    for t in (*many, *model.translate(WORDS, beam=3)):
        assert t.tokens[0] == first and all(a != b for a, b in pairwise(t.tokens)), t.tokens
        scored = model.score(t.source, "".join(x for x in t.tokens if x != "</s>"))
        if t.finished and scored.tokens == t.tokens:  # a rule changes what is chosen, not how likely it is
            assert abs(scored.log_probability - t.log_probability) < 1e-4
    assert any(t.finished for t in model.translate(WORDS, beam=3))


def by_the_new_backend(model: Translator) -> None:
    assert "counting" in BACKENDS
    other = Translator(read_folder("model"), backend="counting")
    model = Translator(read_folder("model"), backend="numpy")  # from which it is made
    for options in ({}, {"beam": 3}):
        for a, b in zip(model.translate(WORDS, **options), other.translate(WORDS, **options), strict=True):
            assert a.tokens == b.tokens and np.array_equal(a.weights, b.weights)
    assert model.translate("abc").tokens == other.translate("abc").tokens
    pairs = [Pair("abc", "CBA"), Pair("de", "ED")]
    assert [a.links for a in align(other, pairs)] == [a.links for a in align(model, pairs)]
    assert (
        evaluate(other, pairs, ("accuracy",)).metrics["accuracy"].value
        == evaluate(model, pairs, ("accuracy",)).metrics["accuracy"].value
    )
    assert all(other.backend.calls[name] for name in ("start", "step", "select", "score")), other.backend.calls


def the_new_option() -> None:
    train("scaled", "--start-scale", "0.5")
    Path("options.toml").write_text("start_scale = 0.5\n", encoding="utf-8")
    train("from_file", "--config", "options.toml")
    sizes = {"hidden": 8, "embedding": 8, "readout_size": 8, "batch_size": 16, "steps": 3, "threads": 1}
    numbers = {"matmul": "default", "precision": "float32", "start_scale": 0.5}
    jumok.train("pairs.tsv", dev="dev.tsv", out="from_python", quiet=True, **sizes, **numbers)
    plain, *scaled = (read_folder(name).parameters for name in ("model", "scaled", "from_file", "from_python"))
    assert any(not np.array_equal(plain[k], scaled[0][k]) for k in plain)
    assert all(np.array_equal(scaled[0][k], other[k]) for other in scaled[1:] for k in plain)
    assert json.loads(Path("scaled/config.json").read_text(encoding="utf-8"))["model"]["start_scale"] == 0.5
    study = json.loads(Path("study/study.json").read_text(encoding="utf-8"))
    assert study["options"]["start_scale"] == 0.5
    parameters = inspect.signature(jumok.train).parameters
    assert "start_scale" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    page = runpy.run_path("docs/make_commands.py")["filled"](Path("docs/commands.md").read_text(encoding="utf-8"))
    assert any(line.startswith("| `start-scale` |") for line in page.splitlines())


def the_new_command(model: Translator) -> None:
    vocabulary = model.codec.target.vocabulary
    assert call("tokens", "model").split() == vocabulary.tokens(range(len(vocabulary)))
    assert call("tokens", "model", "--count").strip() == str(len(vocabulary))
    assert "jumok tokens model" in call("--help") and "Only how many there are." in call("tokens", "--help")


def every_file_is_in_the_journal() -> None:
    left = {path for folder in ("model", "study") for path in Path(folder).rglob("*") if path.is_file()}
    left.add(Path("picture.svg"))
    assert {"model.safetensors", "config.json", "profile.json", "study.json", "report.html", "result.json"} <= {
        p.name for p in left
    }
    missing = {path.name for path in left} - set(disk.JOURNAL)
    assert missing <= {"log.txt"}, missing  # what a run says while it lasts


if __name__ == "__main__":
    assert Path(jumok.__file__).resolve().is_relative_to(Path.cwd()), jumok.__file__
    limit.PRODUCT_SIDE["cpu"], limit.COPIED["cpu"] = 64, 1 << 12  # the machine's rates do not matter here
    everything_runs()
    loaded = jumok.load("model")
    ranked_by_the_new_penalty()
    forced_and_forbidden(loaded)
    by_the_new_backend(loaded)
    the_new_option()
    the_new_command(loaded)
    every_file_is_in_the_journal()
