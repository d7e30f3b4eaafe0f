"""The edge of real processes: standard streams that are closed or full, Ctrl-C at once, -OO and -W error; and whose fault an error is."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import jumok
from jumok import edge
from jumok.errors import DataError, OutputError

BASH = ["bash", "-c"]


def shell(command: str, *arguments: str | Path, **environment: str) -> tuple[int, bytes, bytes]:
    """A command line in which `jumok` stands for this one, and $1, $2 … for the arguments."""
    line = command.replace("jumok", f"{sys.executable} -m jumok")
    done = subprocess.run(
        [*BASH, line, "bash", *map(os.fsencode, arguments)], capture_output=True, env=os.environ | environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ('jumok translate "$1" <&-', 2, b"standard input: cannot be read (it is closed)"),
        ('echo cat | jumok translate "$1" >&-', 2, b"standard output: cannot be written (it is closed)"),
        ('jumok info "$1" > /dev/full', 2, b"standard output: cannot be written (No space left on device)"),
        ('jumok info "$1" 2>&-', 0, b""),
        ('jumok info "$1" <&- 2>&- | grep -q attention', 0, b""),
        ('jumok info "$1" | true; exit ${PIPESTATUS[0]}', 0, b""),
        ("jumok --help > /dev/full", 2, b"standard output: cannot be written"),
        ("jumok train --help >&-", 2, b"standard output: cannot be written"),
    ],
)
def test_standard_streams(command: str, status: int, said: bytes, model_folder: Path) -> None:
    found, _, err = shell(command, model_folder)
    assert found == status and said in err and err.count(b"\n") == (status == 2), err


@pytest.mark.parametrize("out", ["/dev/stdout", ">(cat)"])
@pytest.mark.parametrize("command", ['align "$1" "$2" --out', 'evaluate "$1" "$2" --metrics accuracy --outputs'])
def test_an_output_may_be_a_pipe_by_its_name_in_dev(out: str, command: str, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("cat\tC A T\n", encoding="utf-8")
    status, said, err = shell(f"jumok {command} {out} | cat; exit ${{PIPESTATUS[0]}}", model_folder, tmp_path / "p.tsv")
    assert status == 0 and said.splitlines()[-1].startswith((b"cat\t", b"0-", b"1-", b"2-", b"3-")), err


def test_a_file_does_not_take_the_number_of_a_closed_stream(model_folder: Path) -> None:
    """Else what a library prints would go into it."""
    code = (
        "import os, sys; from jumok import edge; edge.guarded(lambda: print(open(sys.argv[1]).fileno(), file=sys.stderr) or 0)"
    )
    done = subprocess.run(
        [*BASH, '"$0" -c "$1" "$2" >&- <&-', sys.executable, code, model_folder / "config.json"], capture_output=True
    )
    assert int(done.stderr) > 2


def test_a_source_is_utf_8_whatever_the_locale(model_folder: Path) -> None:
    ascii_only = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    status, out, err = shell('jumok explain "$1" "$2"', model_folder, "caf\u00e9", **ascii_only)
    assert status == 0 and "é".encode() in out and b"\\u" not in err, err


def test_no_docstrings_and_warnings_as_errors(model_folder: Path, tmp_path: Path) -> None:
    status, out, err = shell("jumok --help", PYTHONOPTIMIZE="2")
    assert status == 0 and b"$ jumok quickstart" in out and not err
    picture = tmp_path / "p.png"
    status, out, err = shell(
        'jumok explain "$1" ﷺ --out "$2"', model_folder, picture, PYTHONWARNINGS="error", OMP_NUM_THREADS="1"
    )
    assert status == 0 and picture.stat().st_size > 100, err
    assert all(line.startswith(b"warning: ") for line in err.splitlines())


def test_ctrl_c_while_modules_are_imported_shows_no_traceback() -> None:
    """The import of `jumok.cli` is where the time goes; there the process sends the signal to itself."""
    code = (
        "import sys, os, signal\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'jumok.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from jumok.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (done.returncode, done.stderr) == (-2, b"")
    ignored = subprocess.run([*BASH, 'trap \'\' INT; exec "$0" -c "$1" --version', sys.executable, code], capture_output=True)
    assert ignored.returncode == 0 and ignored.stdout.startswith(b"jumok ")  # as under nohup


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/x.tsv"), "/data/x.tsv: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", b"/data/\xe9"), "Permission denied"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b"), "/a and /b: Invalid"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some disk space"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit"),
        (MemoryError("Unable to allocate 74.5 GiB"), "74.5 GiB"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "memory of this machine is full",
        ),
        (UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "surrogates not allowed"), "bytes that are not UTF-8"),
        (UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "invalid"), "0xE9 at byte 4"),
        (DataError("p.tsv:3: two\nlines"), "p.tsv:3: two lines"),
        (OutputError("x: cannot be written"), "cannot be written"),
    ],
)
def test_what_the_user_or_the_machine_causes_is_one_line(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge.guarded(lambda: raising(error)) == 2
    err = capsys.readouterr().err
    assert said in err and err.startswith("jumok: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        AssertionError(),
        KeyError("x"),
        ValueError("operands could not be broadcast"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError("an error without a number"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", str(Path(jumok.__file__).parent / "page.css")),
        FileNotFoundError(errno.ENOENT, "No such file or directory", os.__file__ + "x"),
        UnicodeEncodeError("ascii", "café", 3, 4, "ordinal not in range(128)"),
        RecursionError(),
    ],
    ids=repr,
)
def test_our_own_mistakes_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        edge.guarded(lambda: raising(error))


def test_streams_and_warnings_are_as_before_afterwards() -> None:
    before = sys.stdin, sys.stdout, sys.stderr, warnings.showwarning, list(warnings.filters)
    assert edge.guarded(lambda: 7) == 7 and edge.guarded(lambda: raising(KeyboardInterrupt())) == 130
    assert (sys.stdin, sys.stdout, sys.stderr, warnings.showwarning, list(warnings.filters)) == before
