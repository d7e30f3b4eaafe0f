"""Every command and every line of Python of docs/decoding.md, run as it stands, with models that pronounce at random."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

import jumok
from jumok.cli import main
from jumok.config import ModelConfig, TextConfig
from jumok.runtime.folder import FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

PAGE = (ROOT / "docs" / "decoding.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (?:echo (\w+) \| )?(jumok .+)$", PAGE, re.MULTILINE)
LINES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PHONES = "AA AE AH AO D DH EH ER F G HH IH IY JH K L M N OW OY P R S SH T TH UW V W Y Z ZH"
WORDS = ("attention", "cat", "dog", "tatata", "zebra", "quick")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's first lines name."""
    path = tmp_path_factory.mktemp("decoding")
    text = TextConfig(target_tokenizer="space", joint_vocabulary=False)
    codec = build_codec([Pair("abcdefghijklmnopqrstuvwxyz", PHONES)], text)
    shape = {
        "size": "small",
        "embedding": 6,
        "hidden": 8,
        "score_size": 8,
        "readout_size": 8,
        "tie": "none",
        "alignment": "soft",
    }
    model = ModelConfig(attention="general", **shape)  # type: ignore[arg-type]
    for seed, name in enumerate(("model", "other", "third"), 1):
        parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=seed)
        write_folder(path / name, FolderConfig(text, model, (1.0, 6.0), {}), parameters, codec, "# Random\n", [])
    (path / "words.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    written = jumok.load(path / "model").translate(list(WORDS))  # some of which are to be right, for calibration
    rows = "".join(f"{t.source}\t{t.text if i % 2 else 'K AE T'}\n" for i, t in enumerate(written))
    for name in ("pairs.tsv", "test.tsv"):
        (path / name).write_text(rows, encoding="utf-8")
    (path / "outputs.txt").write_text("K AE T\nD AO G\n", encoding="utf-8")
    (path / "phones.txt").write_text(PHONES.replace(" ", "\n") + "\n", encoding="utf-8")
    return path


def test_the_page_has_an_answer_to_every_question() -> None:
    asked = (
        "prefix forbid allow require min-length no-repeat only unknown length-norm coverage-penalty groups sample temperature "
    )
    asked += "top-k top-p mbr tree reference confidence"
    commands = " ".join(command for _, command in COMMANDS)
    assert all(f"--{option}" in commands for option in asked.split())
    assert {command.split()[1] for _, command in COMMANDS} >= {
        "next",
        "score",
        "rescore",
        "average",
        "translate",
        "explain",
        "evaluate",
    }
    assert len(LINES) > 20


def test_every_command_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    for said, command in COMMANDS:
        command, _, out = command.partition(" > ")
        words = shlex.split(command)
        if said:
            done = subprocess.run([sys.executable, "-m", "jumok", *words[1:]], input=said, text=True, capture_output=True)
            assert done.returncode == 0 and len(done.stdout.splitlines()) == 1, (command, done.stderr)
            continue
        status = main(words[1:])
        written = capsys.readouterr()
        assert status == 0, (command, written.err)
        if out:
            Path(out).write_text(written.out, encoding="utf-8")


def test_every_line_of_python_runs(folder: Path) -> None:
    """All in one program, in the page's order; what they wrote is taken away first."""
    for name in ("averaged", "tree.json"):
        subprocess.run(["rm", "-rf", str(folder / name)], check=True)
    program = "import jumok\nmodel = jumok.load('model')\n"
    for code in LINES:
        program += f"{code}\nmodel = jumok.load('model')\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, input="cat\n", text=True, capture_output=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
