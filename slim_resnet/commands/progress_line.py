"""How far long work is, on stderr.

On a terminal one line shows it: a bar, how much is done, how fast, and the time left. It is
erased before anything else is printed, and when the work ends, in whatever way. Where stderr
is no terminal, or TERM is dumb, a plain line says so once a minute.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from slim_resnet.common.units import clock, short_bytes

_ERASE = "\r\x1b[K"
_DRAW_SECONDS, _SAY_SECONDS = 0.1, 60
_BAR, _LEAST_BAR = 30, 8
# What stands on the terminal's last line: a `Progress`, or nothing.
_shown = []


class Progress:
    """Shows how far some work is; ``with`` it, or `close` it.

    Args:
      noun: What is counted, in the plural.
      total: How many there will be; None if unknown.
      done: How many were done before.
    """

    def __init__(self, noun: str, total: int | None = None, done: int = 0) -> None:
        self._noun, self._before = noun, done
        self.done, self.total = done, total
        self._started = time.monotonic()
        self._on_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._due = self._started + (0 if self._on_terminal else _SAY_SECONDS)
        self._pace = self._left = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def at(self, done: int, pace: str | None = None, seconds_left: float | None = None) -> None:
        """Says how much is done by now.

        Args:
          done: How many.
          pace: What to show in place of how many a second that is.
          seconds_left: What the work itself expects; None takes the mean pace.
        """
        self.done, self._pace, self._left = done, pace, seconds_left
        now = time.monotonic()
        if now < self._due and not (self._on_terminal and done == self.total):
            return
        if self._on_terminal:
            # The first that is done is shown at once.
            self._due = now + (_DRAW_SECONDS if done > self._before else 0)
            _shown[:] = [self]
            self.draw()
        else:
            self._due = now + _SAY_SECONDS
            print(f"slim-resnet: {self.text()}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Erases the line."""
        if _shown == [self]:
            end()

    def draw(self) -> None:
        """Puts the line on the terminal."""
        text, width = self.text(), _stderr_width() - 1
        bar = min(_BAR, width - len(text) - 1)
        if self.total and bar >= _LEAST_BAR:
            full = round(bar * min(self.done / self.total, 1))
            done, left = "━─" if (sys.stderr.encoding or "").lower().startswith("utf") else "#."
            text = f"{done * full}{left * (bar - full)} {text}"
        print(_ERASE + text[:width], end="", file=sys.stderr, flush=True)

    def text(self) -> str:
        """Returns how far it is, in words."""
        amount = short_bytes if self._noun == "bytes" else "{:,}".format
        noun = "" if self._noun == "bytes" else f" {self._noun}"
        elapsed, new = time.monotonic() - self._started, self.done - self._before
        parts = [amount(self.done) + noun]
        if self.total is not None:
            share = f" ({100 * self.done / self.total:.0f} %)" if self.total else ""
            parts = [f"{amount(self.done)} of {amount(self.total)}{noun}{share}"]
        left = self._left
        if new > 0 and elapsed > 0:
            pace = new / elapsed
            if self._pace is None:
                parts.append(f"{1 / pace:.1f} s each" if pace < 1 else
                             f"{short_bytes(round(pace))}/s" if amount is short_bytes else
                             f"{pace:.1f}/s")
            if left is None and self.total is not None:
                left = max(self.total - self.done, 0) / pace
        if self._pace is not None:
            parts.append(self._pace)
        if left is not None:
            parts.append(f"{clock(left)} left")
        return "  ".join(parts)


def _stderr_width():
    try:
        return int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(
            sys.stderr.fileno()).columns or 80
    except (ValueError, OSError, AttributeError):
        return 80


def end() -> None:
    """Erases the line of progress that is on the terminal, if one is."""
    if _shown:
        _shown.clear()
        print(_ERASE, end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Takes the line of progress off the terminal for the length of a ``with`` block."""
    shown = list(_shown)
    end()
    try:
        yield
    finally:
        for one in shown:
            _shown[:] = shown
            one.draw()


class _Aside:
    """An output that takes the line of progress off the terminal for whole lines."""

    def __init__(self, output):
        self._output, self._aside = output, None

    def write(self, text):
        if self._aside is None:
            self._aside = contextlib.ExitStack()
            self._aside.enter_context(set_aside())
        self._output.write(text)
        if text.endswith("\n"):
            self._output.flush()
            self._aside.close()
            self._aside = None

    def __getattr__(self, name):
        return getattr(self._output, name)


@contextlib.contextmanager
def counted_steps() -> Iterator[Callable[[int, int], None]]:
    """Yields what shows the steps of measuring, while their own lines go to stdout."""
    shown = None

    def on_step(done, total):
        nonlocal shown
        if shown is None or done <= shown.done:
            shown = Progress("steps", total, done)
        shown.at(done)

    with contextlib.redirect_stdout(_Aside(sys.stdout)):
        try:
            yield on_step
        finally:
            end()
