"""How programs end when they are asked to: by Ctrl-C, by SIGTERM, or because the terminal was closed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = 0.05  # seconds
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came, to be treated as Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that a shell gives to a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + getattr(interrupt, "number", signal.SIGINT)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (a closed terminal) end the block by Terminated, so that it cleans up as after Ctrl-C.

    A signal that is ignored stays so: that is how `nohup` keeps a training alive.  One that arrives while Python runs
    a finalizer or another callback, whose exceptions are dropped, is sent again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = [signal.signal(number, _raise) for number in numbers]
    try:
        with _dropped_interrupts_sent_again():
            yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _dropped_interrupts_sent_again() -> Iterator[None]:
    """An interrupt that a callback of Python's drops comes again a moment later, when the callback has ended."""
    pending: list[threading.Timer] = []

    def send_again(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            hook(dropped)
        elif not any(timer.is_alive() for timer in pending):
            number = getattr(dropped.exc_value, "number", signal.SIGINT)
            pending[:] = [threading.Timer(AGAIN, signal.pthread_kill, (main, number))]
            pending[0].daemon = True
            pending[0].start()

    main, hook, sys.unraisablehook = threading.get_ident(), sys.unraisablehook, send_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in pending:
            timer.cancel()


def _raise(number: int, _: object) -> None:
    raise Terminated(number)


def end_at_once() -> None:
    """From now on a second Ctrl-C, or its like, ends the program without another word."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def deaf() -> Iterator[None]:
    """What is started in the block never gets the signals of ENDING: its parent ends it.

    A child inherits the mask, so that no signal finds it before it could ignore one; one that comes to this process
    meanwhile waits until the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    with _postponed():
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _postponed() -> Iterator[None]:
    """Handle the signals of ENDING after the block: a mask is one thread's, and another may take them meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = [n for n in ENDING if signal.getsignal(n) is not signal.SIG_IGN]
    before = [signal.signal(number, lambda n, _: came.append(n)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        for first in came[:1]:
            signal.raise_signal(first)
