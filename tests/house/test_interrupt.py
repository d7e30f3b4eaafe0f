"""Ctrl-C: one press ends each command, also where Python would lose it; a second ends the process at once; no line is cut."""

import array
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jumok import cli, interrupt

fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals")

PATIENCE = 60  # seconds until a test gives up on a process
# Runs `jumok` with its standard input watched: `waits` is called when the main thread is about to wait for bytes.
WATCHED = """
import io, os, signal, sys, threading, time
class Raw(io.FileIO):
    def readinto(self, room):
        waits()
        return super().readinto(room)
read = os.read
os.read = lambda handle, size: (handle == 0 and waits()) or read(handle, size)
sys.stdin = io.TextIOWrapper(io.BufferedReader(Raw(0)))
"""
# The press reaches another thread, so that it does not interrupt the waiting call: what Python sees of a press that comes
# between its last look and the call.
NOT_INTERRUPTING = """
waiting = threading.Event()
def waits():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    waiting.set()
def press():
    waiting.wait()
    time.sleep(0.2)  # the main thread goes into the call meanwhile
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press, daemon=True).start()
"""
# The press comes in `__del__`, where Python drops the exception.
IN_DEL = """
pressed = []
class Gone:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
def waits():
    if not pressed:
        pressed.append(Gone())
        del pressed[0]
        pressed.append(True)
"""
RUN = "from jumok.__main__ import main\nsys.exit(main())\n"


def run(code: str, *arguments: str | Path) -> tuple[int, bytes, bytes]:
    """Exit status, output and messages of a Python program that gets no input, and no end of input either."""
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=reading,
            capture_output=True,
            timeout=PATIENCE,
        )
    finally:
        os.close(reading)
        os.close(writing)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", ["translate", "score", "align", "evaluate", "rescore"])
def test_a_press_in_the_moment_before_a_call_that_waits_is_heard(command: str, model_folder: Path) -> None:
    assert run(WATCHED + NOT_INTERRUPTING + RUN, command, model_folder, "-") == (130, b"", b"")


def test_reading_training_pairs_is_ended_as_well(tmp_path: Path) -> None:
    code = WATCHED + NOT_INTERRUPTING + RUN
    status, out, err = run(code, "train", "-", "--out", tmp_path / "model", "--steps", "1", "--quiet")
    assert (status, out, err) == (130, b"", b"") and not (tmp_path / "model").exists()


def test_a_press_whose_exception_python_drops_is_heard(model_folder: Path) -> None:
    assert run(WATCHED + IN_DEL + RUN, "translate", model_folder) == (130, b"", b"")


def test_other_errors_that_python_drops_are_shown_as_before() -> None:
    code = (
        "from jumok import interrupt\n"
        "class Gone:\n"
        "    def __del__(self): raise KeyError('ours')\n"
        "def command():\n"
        "    Gone()\n"
        "    return 7\n"
        "raise SystemExit(interrupt.heard(command))\n"
    )
    status, _, err = run(code)
    assert status == 7 and b"KeyError: 'ours'" in err


# A command that goes on after the first press, and gets a second one.
TWICE = """
import signal, sys
from jumok import interrupt
interrupt.SAME = float(sys.argv[1])
def command():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("kept", flush=True)
        signal.raise_signal(signal.SIGINT)
        print("went on", flush=True)
        return 5
sys.exit(interrupt.heard(command))
"""


def test_a_second_press_ends_the_process_at_once() -> None:
    assert run(TWICE, "-1") == (-signal.SIGINT, b"kept\n", b"")


def test_a_press_that_comes_twice_is_one_press() -> None:
    """Some programs pass on what the terminal has sent to all processes."""
    assert run(TWICE, "60") == (5, b"kept\nwent on\n", b"")


def test_a_press_that_the_command_lets_through_is_no_traceback() -> None:
    code = "import signal\nfrom jumok import interrupt\nraise SystemExit(interrupt.heard(lambda: signal.raise_signal(2)))"
    assert run(code) == (130, b"", b"")


def test_what_a_command_leaves_behind() -> None:
    """No open pipe, hence no thread, and no hook."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGURG), sys.unraisablehook
    open_ = set(os.listdir("/dev/fd"))
    try:
        assert interrupt.heard(lambda: 3) == 3
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
    assert (signal.getsignal(signal.SIGURG), sys.unraisablehook) == before[1:]
    for _ in range(1000):  # the thread closes its end
        if set(os.listdir("/dev/fd")) == open_:
            return
        threading.Event().wait(0.01)
    raise AssertionError("a pipe is still open")


def grown(pipe: int, before: int) -> int:
    """How many bytes wait in a pipe, as soon as they are more than before; or, after a while, if they are not."""
    there = array.array("i", [0])
    for _ in range(20 if before else 1000):
        fcntl.ioctl(pipe, termios.FIONREAD, there)
        if there[0] > before:
            break
        threading.Event().wait(0.1)
    return there[0]


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="a pipe has one size here")
def test_a_reader_that_takes_nothing_does_not_hold_a_command_up(model_folder: Path) -> None:
    """As a pager, whose first page is full."""
    command = [sys.executable, "-m", "jumok", "translate", str(model_folder), "--json"]
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    streams = {"stdin": subprocess.PIPE, "stdout": writing, "stderr": subprocess.PIPE}
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, env=buffered, **streams) as process:
        os.close(writing)
        before = -1
        while before < (before := grown(reading, before)):  # each answer is written at once; the last one does not fit
            process.stdin.write(b"attention\n")
            process.stdin.flush()
        process.send_signal(signal.SIGINT)
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        found = process.wait(), process.stderr.read()
        watch.cancel()
    assert found == (130, b"")
    os.close(reading)


def test_what_runs_in_the_background_of_a_script_goes_on(model_folder: Path) -> None:
    """A shell has its Ctrl-C ignored."""
    code = (
        f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{WATCHED}waits = lambda: signal.raise_signal(2)\n{RUN}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "translate", str(model_folder)], input=b"cat\n", capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1


class Pressing(io.StringIO):
    """Standard output; after each piece that is written there, somebody presses Ctrl-C."""

    def write(self, text: str) -> int:
        size = super().write(text)
        signal.raise_signal(signal.SIGINT)
        return size


@pytest.mark.parametrize("command", ["translate", "score", "align", "rescore"])
def test_no_line_is_cut_from_its_end(command: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "cat\tC A T\n" if command != "rescore" else '{"source": "cat", "text": "C A T"}\n'
    (tmp_path / "pairs.tsv").write_text(2 * text, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out := Pressing())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main([command, str(model_folder), str(tmp_path / "pairs.tsv")]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert out.getvalue().endswith("\n") and out.getvalue().count("\n") == 1
