"""Ctrl-C, heard for certain: one press ends a command, at whatever moment it comes.

Python only notes a signal, and raises KeyboardInterrupt between two of its own steps. So it loses a press

- in the moment between its last look and a call of the system that waits (for a line, for room in a pipe, for another process):
  the call has not begun, so that nothing interrupts it, and the look comes when it returns, which may be never;
- in `__del__`, in a callback of a weak reference (each import has one), and wherever else it cannot pass an exception on.

Here a thread looks after each press. It interrupts the waiting call until the press has been heard; and where the exception was
dropped, it presses again.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

AGAIN = 0.05  # seconds until the thread looks whether a press was heard
SAME = 0.5  # seconds in which a second press counts as the first: some programs pass on what has come to all processes


def heard(command: Callable[[], int]) -> int:
    """Runs a command in which the first Ctrl-C raises KeyboardInterrupt once, and a second ends the process at once.

    Returns the exit status of the command, 130 where it lets the exception through. Afterwards Ctrl-C just ends the process.
    Call it in the main thread.
    """
    ear = _Ear()
    try:
        ear.open()
        status = command()
        ear.listening = False
    except KeyboardInterrupt:
        status = 130
    finally:
        ear.close()
    return status


class _Ear:
    """Handles the signal while it listens; later, and at a second press, it lets the signal end the process."""

    def __init__(self) -> None:
        self.listening, self.dropped = True, False
        self.pressed = 0.0  # when the first press was heard; 0: not yet, or its exception was dropped

    def open(self) -> None:
        if hasattr(signal, "pthread_kill"):  # not on Windows, where the system calls the handler in a thread of its own
            self._start_thread()
        signal.signal(signal.SIGINT, self.hear)

    def hear(self, *_: object) -> None:
        """The handler. Python calls it in the main thread, between two steps."""
        if self.listening and not self.pressed:
            self.pressed = time.monotonic()
            raise KeyboardInterrupt
        if not self.listening or time.monotonic() - self.pressed > SAME:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        self.listening = False
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if hasattr(self, "_writing"):
            sys.unraisablehook = self._hook
            signal.set_wakeup_fd(-1)
            os.close(self._writing)
            signal.signal(signal.SIGURG, signal.SIG_DFL)

    def _start_thread(self) -> None:
        reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._main, self._hook = _thread.get_ident(), sys.unraisablehook
        signal.signal(signal.SIGURG, lambda *_: None)  # a signal that does nothing but interrupt a call that waits
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)  # gets a signal's number even if Python is not looking
        sys.unraisablehook = self._dropped
        _thread.start_new_thread(self._look_after, (reading,))

    def _look_after(self, reading: int) -> None:
        while came := os.read(reading, 64):
            while signal.SIGINT in came and self._ours():
                time.sleep(AGAIN)
                if self.dropped:
                    self.dropped = False
                    _thread.interrupt_main()
                signal.pthread_kill(self._main, signal.SIGURG)
                if self.pressed:
                    break
        os.close(reading)

    def _ours(self) -> bool:
        """False where the command has a rule of its own for Ctrl-C, as training has."""
        return self.listening and signal.getsignal(signal.SIGINT) == self.hear

    def _dropped(self, what: Any) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            self.pressed, self.dropped = 0.0, True
            os.write(self._writing, bytes([signal.SIGINT]))
        else:
            self._hook(what)
