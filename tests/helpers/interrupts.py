"""Ctrl-C at a moment that a test chooses."""

import itertools


def at_call(monkeypatch, owner, name, number):
    """Has the call of this number, from 1, of a method raise ``KeyboardInterrupt``."""
    original, calls = getattr(owner, name), itertools.count(1)

    def interrupted(*args):
        if next(calls) == number:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(owner, name, interrupted)
