"""Files that are no text are named by what they are, in every command that reads lines or pairs, and text is let through."""

import bz2
import gzip
import io
import lzma
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.cli import main
from jumok.config import TextConfig
from jumok.corpus.blocks import cut
from jumok.errors import DataError
from jumok.text import read_pairs
from jumok.text.kinds import HEAD, kind_of

ENGLISH = "".join(f"word{i}\tW ER D {i}\n" for i in range(40))
KOREAN = "".join(f"주목{'가나다라'[i % 4]}\tJ U M O K {i}\n" for i in range(40))


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(name, ENGLISH)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        info = tarfile.TarInfo("pairs.tsv")
        info.size = len(ENGLISH)
        t.addfile(info, io.BytesIO(ENGLISH.encode()))
    return out.getvalue()


def saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def safetensors() -> bytes:
    from safetensors.numpy import save

    return save({"a": np.zeros(4, np.float32)})


KINDS = {
    "xlsx": (zipped("xl/workbook.xml"), "is a ZIP or Excel file: export as tab-separated UTF-8"),
    "zip": (zipped("a.tsv"), "is a ZIP or Excel file"),
    "pt": (zipped("archive/data.pkl"), "is a PyTorch file"),
    "xz": (lzma.compress(ENGLISH.encode()), "is xz data: unpack it"),
    "lzma": (lzma.compress(ENGLISH.encode(), lzma.FORMAT_ALONE), "is lzma data: unpack it"),
    "bz2": (bz2.compress(ENGLISH.encode()), "is bzip2 data: unpack it"),
    "empty bz2": (bz2.compress(b""), "is bzip2 data: unpack it"),
    "gzip": (gzip.compress(ENGLISH.encode()), "is gzip data: its name must end in .gz"),
    "zst": (b"\x28\xb5\x2f\xfd\x04\x00", "is Zstandard data: unpack it"),
    "tar": (tarred(), "is a tar archive: unpack it"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "is an old Excel or Word file"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "is a PDF"),
    "parquet": (b"PAR1\x15\x04", "is a Parquet file"),
    "npy": (saved(np.zeros(3)), "is a NumPy array"),
    "safetensors": (safetensors(), "is a safetensors file"),
    "pickle": (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02e.", "is a Python pickle"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
} | {
    f"{encoding}, {name}": (text.encode(encoding), f"looks like {encoding[:6].upper()}: save it as UTF-8")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    for name, text in (("English", ENGLISH), ("Korean", KOREAN))
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_named(kind: str, tmp_path: Path) -> None:
    raw, wanted = KINDS[kind]
    path = tmp_path / "pairs.tsv"
    path.write_bytes(raw)
    with pytest.raises(DataError) as in_memory:
        read_pairs(str(path), TextConfig(), warn=lambda _: None)
    with pytest.raises(DataError) as in_blocks:
        list(cut([str(path)], 1000))
    assert str(in_memory.value) == str(in_blocks.value)
    assert str(in_memory.value).startswith(f"{path}: {wanted}")


def test_a_database_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("create table pairs (source, target)")
    assert kind_of((tmp_path / "a.db").read_bytes()).startswith("is an SQLite database")


def test_what_is_in_a_gz_is_looked_at(tmp_path: Path) -> None:
    for name, raw, wanted in (
        ("pairs.tar.gz", tarred(), "is a tar archive"),
        ("p.tsv.gz", ENGLISH.encode("utf-16-le"), "UTF-16"),
    ):
        (tmp_path / name).write_bytes(gzip.compress(raw))
        with pytest.raises(DataError, match=wanted):
            read_pairs(str(tmp_path / name), TextConfig(), warn=lambda _: None)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200).filter(
        lambda t: "\x7fELF" not in t
    )
)
def test_text_is_let_through(text: str) -> None:
    names = (
        "%PDF",
        "{\\rtf",
        "GIF8",
        "PK",
        "Rar",
        "7z",
        "PAR1",
        "FEA1",
        "LZIP",
        "BZh",
        "SQLite",
        "version https://git-lfs",
        "\x7fELF",
    )
    assert kind_of(("a" * text.startswith(names) + text).encode()[:HEAD]) == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"c\0\td\n",
        b"1-1\n\0\n",
        b"a\tb\n" * 9 + b"\0\xff\n",
        "가나\t다\0라\n마\t바\n".encode(),
        b"\0",
        b"\0\n",
        b"text\n\x80\x00\x01\n\x00",
    ],
)
def test_a_nul_that_strayed_is_no_utf_16(raw: bytes) -> None:
    assert kind_of(raw) == ""


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["cat\n", "주목\n", "주목\tJU\n", "\n\ncat\n", "文字\n化け\n", "cat"])
def test_the_first_line_is_enough(encoding: str, text: str) -> None:
    raw = text.encode(encoding)
    assert kind_of(raw).startswith(f"looks like {encoding[:6].upper()}")
    if text == "cat\n":
        assert kind_of(raw[: raw.index(b"\n") + 1]).startswith("looks like UTF")


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments, stdin=b"") -> (exit status, standard output, standard error)."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        status = main([str(a) for a in arguments])
        return status, *capsys.readouterr()

    return call


@pytest.mark.parametrize("kind", ["xlsx", "utf-16-le, Korean", "xz"])
def test_every_command_names_it_and_ends_with_2(kind: str, run, model_folder: Path, tmp_path: Path) -> None:
    raw, wanted = KINDS[kind]
    bad, good = tmp_path / "bad.tsv", tmp_path / "good.tsv"
    bad.write_bytes(raw)
    good.write_text("cat\tC A T\n" * 3 + "why\tW\n", encoding="utf-8")
    for arguments in (
        ("train", bad, "--out", tmp_path / "m", "--steps", 1),
        ("train", good, "--dev", bad, "--out", tmp_path / "m", "--steps", 1),
        ("train", bad, "--cache", tmp_path / "c", "--out", tmp_path / "m", "--steps", 1),
        ("train", f"{good},{bad}", "--out", tmp_path / "m", "--steps", 1),
        ("translate", model_folder, bad),
        ("evaluate", model_folder, bad),
        ("align", model_folder, bad),
        ("align", model_folder, good, "--gold", bad),
        ("study", "scores", bad, "--out", tmp_path / "s"),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "") and f"{bad}: {wanted}" in err, arguments
        assert err.count("jumok: ") == 1
    for command in ("translate", "evaluate", "align"):
        status, out, err = run(command, model_folder, "-", stdin=raw)
        assert (status, out) == (2, "") and f"standard input: {wanted}" in err


def test_standard_input_that_is_a_pipe(model_folder: Path) -> None:
    raw, wanted = KINDS["utf-16-le, English"]
    for command in ("translate", "evaluate"):
        done = subprocess.run([sys.executable, "-m", "jumok", command, str(model_folder), "-"], input=raw, capture_output=True)
        assert done.returncode == 2 and done.stdout == b"" and f"standard input: {wanted}".encode() in done.stderr


def test_where_no_line_can_be_used_it_ends_with_2(run, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xff\tA\n\xb0\xa1\tB\n")
    status, out, err = run("align", model_folder, tmp_path / "a")
    assert (status, out) == (2, "\n\n") and "none of its 2 lines could be used" in err
    status, out, err = run("translate", model_folder, stdin=b"\xff\xff\n\xb0\xa1\n")
    assert (status, out) == (2, "\n\n") and "none of its 2 lines could be used" in err
    status, out, _ = run("translate", model_folder, stdin=b"\xff\xff\ncat\n")
    assert status == 0 and out.startswith("\n") and out.count("\n") == 2
