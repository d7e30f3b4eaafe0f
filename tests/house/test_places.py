"""Paths that a user names: `~`, two files with a comma, standard input for two things, and files written whole."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from faulty_disk import refusing
from hypothesis import given
from hypothesis import strategies as st

from jumok import cli, config, places
from jumok.config import TrainConfig
from jumok.errors import ConfigError, OutputError
from jumok.places import Output, expand, parallel
from jumok.text.pairs import files_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder(home: Path) -> None:
    assert expand("~") == str(home) and expand("~/m") == f"{home}/m"
    assert expand("m~") == "m~" and expand("./~/m") == "./~/m" and expand("") == ""
    with pytest.raises(
        ConfigError, match=r"out is '~nobody-here/m': there is no home folder ~nobody-here; .* \./~nobody-here/m"
    ):
        expand("~nobody-here/m", "out")
    (home.parent / "~notes").write_text("")
    assert expand("~notes") == "~notes"


def test_a_tilde_in_toml_in_python_and_on_both_sides_of_a_comma(home: Path) -> None:
    built = config.build(TrainConfig, {"pairs": "~/s, ~/t", "out": "~/m", "features_separator": "~"}, "run.toml")
    assert (built.pairs, built.out, built.text.features_separator) == (f"{home}/s,{home}/t", f"{home}/m", "~")


def test_two_files_in_folders_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x, y").mkdir()
    for name in ("x, y/s", "x, y/t", "t", "a,b"):
        Path(name).write_text("a\n")
    assert files_of("x, y/s,x, y/t") == files_of("x, y/s, x, y/t") == ("x, y/s", "x, y/t")
    assert files_of("x, y/s,t") == ("x, y/s", "t") and files_of("t,x, y/t") == ("t", "x, y/t")
    assert files_of("a,b") == ("a,b",) and files_of("a,b,t") == ("a,b", "t") and files_of("-,x, y/t") == ("-", "x, y/t")
    assert files_of("no,such") == ("no", "such") and parallel("no,such,file") is None


@given(st.lists(st.text("ab, ", min_size=1, max_size=4), min_size=2, max_size=4))
def test_parts_of_a_comma_are_parts_of_the_text(parts: list[str]) -> None:
    path = ",".join(parts)
    found = parallel(path)
    assert found is None or ",".join(found).replace(" ", "") == path.replace(" ", "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["train", "-", "--dev", "-", "--out", "m"], "--dev -: the pairs come from standard input already"),
        (["train", "s,-", "--dev", "-", "--out", "m"], "--dev -: the pairs come from standard input already"),
        (["study", "scores", "-", "--dev", "d", "--test", "-", "--out", "m"], "--test -: the pairs come"),
        (["study", "scores", "p", "--dev", "-", "--test", "-", "--out", "m"], "the lines of --dev come from standard input"),
        (["evaluate", "m", "words.tsv", "--outputs", "./words.tsv"], "would overwrite the file that test is read from"),
        (["align", "m", "words.tsv", "--out", "words.tsv"], "would overwrite the file that pairs is read from"),
        (
            ["align", "m", "p.tsv", "--gold", "words.tsv", "--out", "link.tsv"],
            "would overwrite the file that gold is read from",
        ),
        (["explain", "m", "caf\udce9"], "--source: 'caf\\udce9' has bytes that are not UTF-8"),
    ],
)
def test_paths_are_checked_before_anything_is_read(
    line: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.tsv").write_text("precious")
    Path("link.tsv").symlink_to("words.tsv")
    assert cli.main(line) == 2 and said in capsys.readouterr().err
    assert Path("words.tsv").read_text() == "precious" and len(list(tmp_path.iterdir())) == 2


def test_a_nul_in_a_path_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.toml").write_text('out = "a\\u0000b"\n')
    assert cli.main(["train", "p.tsv", "--config", str(tmp_path / "run.toml")]) == 2
    assert "--out: 'a\\x00b' has a NUL character" in capsys.readouterr().err


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "o.tsv"
    path.write_text("old")
    path.chmod(0o640)
    with Output(path) as out:
        assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
        out.put("new caf\udce9")
    assert path.read_bytes() == b"new caf\\udce9" and path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ZeroDivisionError), Output(path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes().startswith(b"new")
    (tmp_path / "link").symlink_to(path)
    places.put(tmp_path / "link", "through")
    assert path.read_text() == "through" and (tmp_path / "link").is_symlink()
    with Output("") as out:
        out.put("nothing")


@pytest.mark.parametrize(
    ("calls", "number"), [(("create",), errno.EROFS), (("write",), errno.ENOSPC), (("replace",), errno.EACCES)]
)
def test_what_was_there_stays_where_it_cannot_be_replaced(tmp_path: Path, calls: tuple[str, ...], number: int) -> None:
    path = tmp_path / "o.tsv"
    path.write_text("old")
    with (
        refusing(path, lambda: OSError(number, os.strerror(number)), calls),
        pytest.raises(OutputError, match="cannot be written"),
    ):
        places.put(path, "new", "--outputs")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        places.put(tmp_path / "pipe", "through")
        assert reader.communicate()[0] == b"through"
    assert (tmp_path / "pipe").is_fifo()
