"""Options from a TOML file: all that `train` has, under what stands on the command line; one line for every file that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jumok import learn
from jumok.cli import main
from jumok.config import TrainConfig


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `jumok.train` was called with; nothing is trained."""
    seen: dict[str, Any] = {}

    class Done:
        interrupted = 0

    monkeypatch.setattr(learn, "train", lambda **options: seen.update(options) or Done())
    monkeypatch.chdir(tmp_path)
    return seen


def run(text: str | bytes, *arguments: str) -> int:
    Path("r.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return main(["train", "p.tsv", "--out", "m", "--config", "r.toml", *arguments])


@pytest.mark.parametrize("name", ["resume", "overwrite", "quiet", "profile"])
def test_the_run_s_own_options_are_taken(asked: dict[str, Any], name: str) -> None:
    for arguments in ((), (f"--{name}",)):  # said again, it is no error
        assert run(f"{name} = true\n", *arguments) == 0 and asked[name] is True
    assert run(f"{name} = true\n", f"--no-{name}") == 0 and asked[name] is False
    assert run(f"{name} = false\n", f"--{name}") == 0 and asked[name] is True


def test_strings_flags_and_sections(asked: dict[str, Any]) -> None:
    text = 'tensorboard = "runs"\nlearning-rate = 0.5\n[model]\ninput-feeding = true\nbidirectional = false\n[learn]\nsave-every = 3\n'
    assert run(text, "--input-feeding", "--no-bidirectional", "--seed=4") == 0
    config: TrainConfig = asked["config"]
    assert asked["tensorboard"] == "runs" and config.learn.learning_rate == 0.5 and config.learn.save_every == 3
    assert config.model.input_feeding and not config.model.bidirectional
    assert {"seed", "input_feeding", "bidirectional", "tensorboard", "save_every", "learning_rate"} <= set(asked["given"])
    assert "steps" not in asked["given"]


def test_a_length_on_the_command_line_goes_over_another_in_the_file(asked: dict[str, Any]) -> None:
    for text in ("minutes = 5\n", "[learn]\nminutes = 5\n"):
        assert run(text, "--steps", "7") == 0
        assert (asked["config"].learn.minutes, asked["config"].learn.steps) == (None, 7)


def test_a_byte_order_mark_is_left_out(asked: dict[str, Any], capsys: Any) -> None:
    assert run(b"\xef\xbb\xbfsteps = 2\r\n") == 0 and asked["config"].learn.steps == 2
    assert "r.toml begins with a byte order mark" in capsys.readouterr().err


WRONG: dict[str, tuple[bytes, str]] = {
    "UTF-16": ("steps = 2\n".encode("utf-16"), "r.toml: this is UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": ("steps = 2\n".encode("utf-16-le"), "NUL bytes"),
    "not UTF-8": (b"steps = 2\n# caf\xe9\n", "r.toml:2: not UTF-8 (byte 0xe9)"),
    "not TOML": (b"steps: 2\n", "r.toml: not TOML"),
    "a section misspelt": (b"[modle]\nhidden = 4\n", "there is no section [modle]; did you mean [model]?"),
    "a section around": (b"[train.model]\nhidden = 4\n", "there is no section [train]; there are [learn], [model], [text]"),
    "a section inside": (b"[model.sizes]\nhidden = 4\n", "there is no option 'sizes'"),
    "an option as a section": (b"[model.hidden]\nsize = 4\n", "hidden is {'size': 4}; it must be a whole number"),
    "an option of the run as a section": (b"[quiet]\nyes = true\n", "quiet is {'yes': True}; it must be true or false"),
    "a list of sections": (b"[[model]]\nhidden = 4\n", "model"),
    "given twice": (b"steps = 2\n[learn]\nsteps = 3\n", "steps is given twice"),
    "given twice, with a dash": (b"save-every = 2\nsave_every = 3\n", "save_every is given twice"),
    "another file": (b'config = "other.toml"\n', "config is for the command line only"),
    "not a truth": (b'overwrite = "yes"\n', "overwrite is 'yes'; it must be true or false"),
    "two lengths": (b"steps = 2\nminutes = 1\n", "r.toml: minutes and steps are given"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_one_line(asked: dict[str, Any], capsys: Any, wrong: str) -> None:
    data, says = WRONG[wrong]
    assert run(data) == 2
    err = capsys.readouterr().err
    assert says in err and "r.toml" in err and err.count("\n") == 1 and not asked


def test_no_file_a_folder_and_two_files(asked: dict[str, Any], capsys: Any) -> None:
    for arguments, says in (
        (("--config", "."), ".: this is a folder; --config takes a TOML file"),
        (("--config=none.toml",), "none.toml: there is no such file"),
        (("--config", "a.toml", "--config=b.toml"), "--config is given twice"),
    ):
        assert main(["train", "p.tsv", "--out", "m", *arguments]) == 2
        err = capsys.readouterr().err
        assert says in err and err.count("\n") == 1


def test_options_given_in_the_file_are_told_when_they_are_not_used(tmp_path: Path, capsys: Any) -> None:
    from toy_run import SHORT, write_pairs

    pairs, out = write_pairs(tmp_path / "p.tsv"), tmp_path / "m"
    learn.train(pairs, out=out, **SHORT)
    toml = tmp_path / "r.toml"
    toml.write_text(f"pairs = {json.dumps(str(pairs))}\nresume = true\nattention = 'dot'\n[learn]\ndropout = 0.4\nsteps = 8\n")
    assert main(["train", "--out", str(out), "--config", str(toml), "--attention", "general"]) == 0
    err = capsys.readouterr().err
    assert "not used, the model was trained with other options: attention general (dot), dropout 0.4 (0.2)\n" in err
