"""What `test_planting.py` runs in a scratch copy of the package in which something was planted: all of Jumok, with it.

planted_run.py NAME OPTION STUDY PROGRAM_ARGUMENTS…, in a folder that holds `jumok/`, `docs/`, and pairs for training and dev
"""

import io
import json
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

import jumok
from jumok.cli import main
from jumok.config import TrainConfig, build
from jumok.learn import work
from jumok.learn.profile import limit

TINY = "--hidden 8 --embedding 8 --readout-size 8 --batch-size 16 --steps 3 --threads 1 --matmul default --precision float32"


def call(*arguments: str) -> str:
    """What a command prints; it has to succeed."""
    said = io.StringIO()
    with redirect_stdout(said):
        status = main([str(a) for a in arguments])
    assert status == 0, (arguments, status)
    return said.getvalue()


def train(out: str, *more: str) -> None:
    call("train", "pairs.tsv", "--dev", "dev.tsv", "--out", out, "--quiet", *TINY.split(), *more)


def everything(name: str, option: str, *more: str) -> None:
    """Train (with --profile), info, translate, evaluate, explain: by the planted name."""
    planted = (f"--{option}", name)
    train("model", "--profile", *planted, *more)
    profile = json.loads(Path("model/profile.json").read_text(encoding="utf-8"))
    assert profile["limit"]["multiply_adds"] > 0 and profile["steps"] == 3
    if option in ("attention", "cell", "window", "teacher-forcing"):  # free running reads what the model writes, step by step
        free = () if option == "teacher-forcing" else ("--teacher-forcing", "never")
        train("fed", "--profile", "--input-feeding", "--layers", "2", *free, *planted, *more)
        call("translate", "fed", "lines.txt")
    config = json.loads(Path("model/config.json").read_text(encoding="utf-8"))
    assert name in json.dumps(config["training"])
    info = call("info", "model")
    assert option not in ("attention", "window", "target-tokenizer") or name in info
    for search in ((), ("--beam", "3")):
        assert len(call("translate", "model", "lines.txt", *search).splitlines()) == 3
    assert '"weights"' in call("translate", "model", "lines.txt", "--json")
    measured = json.loads(call("evaluate", "model", "dev.tsv", "--json"))["metrics"]
    assert option != "metric" or name in json.dumps(measured)
    call("evaluate", "model", "dev.tsv")
    for file in ("picture.svg", "page.html"):
        call("explain", "model", "abc", "--out", file)
    call("align", "model", "dev.tsv")


def study(name: str, option: str, which: str) -> None:
    """The study in whose table of variants it has to be, of that variant and the first; or any study, with it as an option."""
    variants, planted = (name,), ()
    if option in ("metric", "target-tokenizer", "decay"):
        variants, planted = (), (f"--{option}", name)
    chosen = ("--variants", *variants) if variants else ()
    data = ("pairs.tsv", "--dev", "dev.tsv", "--test", "dev.tsv")
    said = call("study", which, *data, "--out", f"study {which}", "--seeds", "1", *chosen, *TINY.split(), *planted)
    assert said and (Path(f"study {which}") / "report.md").exists()


def docs(name: str, option: str) -> None:
    """The command reference says its name."""
    make = runpy.run_path("docs/make_commands.py")
    page = make["filled"](Path("docs/commands.md").read_text(encoding="utf-8"))
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{option}` |"))
    assert f"`{name}`" in row


def work_is_counted(name: str, option: str) -> None:
    """A score's and a window's products, which the limit knows by itself."""
    sizes = {"hidden": 8, "embedding": 8, "score_size": 8, "readout_size": 8, "tie": "none"}
    if option in ("attention", "window"):
        model = build(TrainConfig, {**sizes, option: name}, "test").model
        of = work.of_attention(model)
        assert of[0] + of[1] > 0 and of[2] >= 8, of


if __name__ == "__main__":
    assert Path(jumok.__file__).resolve().is_relative_to(Path.cwd()), jumok.__file__
    limit.PRODUCT_SIDE["cpu"], limit.COPIED["cpu"] = 64, 1 << 12  # the machine's rates do not matter here
    plants = json.loads(sys.argv[1])
    for plant in plants:
        work_is_counted(plant["name"], plant["option"])
        docs(plant["name"], plant["option"])
        everything(plant["name"], plant["option"], *plant["more"])
        study(plant["name"], plant["option"], plant["study"])
        for folder in ("model", "fed", f"study {plant['study']}"):
            if Path(folder).exists():
                Path(folder).rename(f"{folder} {plant['name']}")
    assert "torch._dynamo" not in sys.modules, "torch's compiler was loaded, 70 MB and a second of every run"
