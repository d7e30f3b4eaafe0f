"""A program that writes a line to `translate` and waits for the answer gets it; under load lines are translated together."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumok.config import SearchConfig
from jumok.decode.answers import answers, incoming
from jumok.decode.translator import CHUNK, PAUSE
from jumok.runtime import Translator
from jumok.text.arriving import Arriving
from jumok.text.lines import arriving_lines

WORDS = ("cat", "why", "zebra", "attention", "quick")
PATIENCE = 120  # seconds until a test gives up on an answer


def ask(process: Any, *pieces: str) -> str:
    """Writes the pieces, flushing each, and waits for one line."""
    for piece in pieces:
        process.stdin.write(piece)
        process.stdin.flush()
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        return process.stdout.readline()
    finally:
        watch.cancel()


@pytest.mark.parametrize("options", [(), ("--json",), ("--beam", "3", "--nbest", "2")])
def test_five_lines_in_turn(model_folder: Path, options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder), *options]
    whole = subprocess.run(command, input="".join(f"{w}\n" for w in WORDS), capture_output=True, text=True).stdout
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        found = [ask(process, f"{word}\n") for word in WORDS[:3]]
        found.append(ask(process, WORDS[3][:2], WORDS[3][2:], "\n"))  # in dribs
        found.append(ask(process, f"{WORDS[4]}\nla"))
        process.stdin.write("st")  # a last line without its end
        process.stdin.close()
        assert process.stdout.read().count("\n") == 1
    if "--json" not in options:  # the last digits of a weight depend on what was multiplied beside it
        assert "".join(found) == whole
    assert [line[:40] for line in found] == [line[:40] for line in whole.splitlines(keepends=True)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe(model_folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder), str(tmp_path / "fifo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, open(tmp_path / "fifo", "w") as process.stdin:
        assert all(ask(process, f"{word}\n").endswith("\n") for word in WORDS[:2])


def counted(model: Translator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines are translated together, call by call."""
    sizes: list[int] = []
    real = model._translate
    monkeypatch.setattr(model, "_translate", lambda texts, *a: sizes.append(len(texts)) or real(texts, *a))
    return sizes


def test_a_burst_is_translated_in_batches(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Translator.load(model_folder)
    sizes = counted(model, monkeypatch)
    reading, writing = os.pipe()
    lines = "".join(f"{WORDS[i % 5]}\n" for i in range(5000)).encode()

    def write() -> None:
        with open(writing, "wb") as pipe:
            pipe.write(lines)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        found = list(answers(model, "-", SearchConfig(), flush=lambda: None, warn=print, note=print))
    thread.join()
    assert [t.source for t in found] == lines.decode().split()
    assert sum(sizes) == 5000 and max(sizes) > 500 and max(sizes) <= CHUNK * 64


def test_the_first_outputs_of_a_long_stream_are_there_soon(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Translator.load(model_folder)
    sizes, read = counted(model, monkeypatch), []

    def lines() -> Iterator[str]:
        for i in range(300):
            read.append(i)
            yield WORDS[i % 5]

    found = model.translate_lines(lines(), batch_size=4)
    next(found)
    assert len(read) == 4
    assert len(list(found)) == 299 and sizes[:6] == [4, 8, 16, 32, 64, 64]


def test_lines_of_a_stream_in_python_are_answered_as_they_come(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Translator.load(model_folder)
    sizes = counted(model, monkeypatch)
    reading, writing = os.pipe()
    pieces = iter([b"why\nbad \xff\n\n", b"zebra", b""])
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as end:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        end.write(b"cat\n")
        found = []
        for t in model.translate_lines(incoming()):  # the next lines are written when an answer is there
            found.append(t.source)
            if len(found) in (1, 4):
                end.write(next(pieces))
            if len(found) == 4:
                end.close()
    assert found == ["cat", "why", "", "", "zebra"] and sizes == [1, 3, 1]


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_ctrl_c_leaves_the_answers_that_are_there(model_folder: Path) -> None:
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        answers = [ask(process, f"{word}\n") for word in WORDS[:2]]
        process.stdin.write("unfinished")
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert all(answers) and process.stdout.read() == "" and process.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_where_nobody_reads_any_more_the_command_ends_quietly(model_folder: Path) -> None:
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert ask(process, "cat\n")
        process.stdout.close()
        process.stdin.write("why\n")
        process.stdin.flush()  # and goes on waiting for a line: the command ends all the same
        assert process.wait(PATIENCE) == 0 and process.stderr.read() == ""
        process.stdin = None


def test_output_is_flushed_before_each_wait(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Translator.load(model_folder)
    ours, theirs = socket.socketpair()
    events: list[str] = []
    with ours, theirs:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(ours.makefile("rb")))
        waited = iter([b"cat\nwhy\n", b"ze", b"bra\n", b"quick", b""])

        def flush() -> None:
            events.append("wait")
            if piece := next(waited):
                theirs.sendall(piece)
            else:
                theirs.shutdown(socket.SHUT_WR)

        for t in answers(model, "-", SearchConfig(), flush=flush, warn=print, note=print):
            events.append(t.source)
    assert events == ["wait", "cat", "why", "wait", "wait", "zebra", "wait", "wait", "quick"]


class Dribbling:
    """A pipe that another thread fills, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        reading, self.writing = os.pipe()
        self.stream = open(reading, "rb")  # noqa: SIM115
        self.pieces = pieces

    def __enter__(self) -> Any:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self.stream

    def _run(self) -> None:
        for piece in self.pieces:
            os.write(self.writing, piece)
        os.close(self.writing)

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.stream.close()


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=9) | st.just(b"\n") | st.just("가\n".encode()), max_size=9), st.booleans())
def test_lines_are_the_same_however_they_came(pieces: list[bytes], by_thread: bool) -> None:
    whole = b"text\n" + b"".join(pieces)
    with Dribbling([b"te", b"xt\n", *pieces]) as stream:
        arriving = Arriving(stream, "a", 10**6, by_thread)
        found = []
        while True:
            while not arriving.has_line():
                arriving.wait()
            found.append(arriving.readline(10**6))
            if not found[-1]:
                break
    assert b"".join(found) == whole and found[:-1] == list(io.BytesIO(whole))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_results_do_not_depend_on_the_grouping(size: int, model_folder: Path) -> None:
    model = Translator.load(model_folder)
    lines = [*WORDS, "", "a b", "zzz"] * 3
    plain = list(model.translate_lines(lines))
    paused: list[Any] = []
    for i in range(0, len(lines), size):
        paused += [*lines[i : i + size], PAUSE, PAUSE]
    found = list(model.translate_lines(paused))
    assert [(t.source, t.text, t.tokens) for t in found] == [(t.source, t.text, t.tokens) for t in plain]


def test_what_came_before_an_error_is_answered(model_folder: Path) -> None:
    from jumok.errors import DataError

    def lines() -> Iterator[str]:
        yield from ("cat", "why")
        raise DataError("the rest is damaged")

    found = []
    with pytest.raises(DataError, match="the rest is damaged"):
        for t in Translator.load(model_folder).translate_lines(lines()):
            found.append(t.source)
    assert found == ["cat", "why"]


def test_a_handle_that_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    with Dribbling([b"one\n", b"two"]) as stream:
        os.set_blocking(stream.fileno(), False)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        assert [line.text for line in arriving_lines("-", warn=print) if line is not None] == ["one", "two"]


def test_a_terminal(model_folder: Path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder)]
    with subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, text=True) as process:
        os.close(slave)
        process.stdin = open(master, "w")  # noqa: SIM115
        assert ask(process, "cat\n").endswith("\n") and ask(process, "why\n").endswith("\n")
        process.stdin.write("\x04")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
