"""What had to be put in the place of something else, so that a script runs: each once."""

import sys

_used = {}


def use(name: str, what: str) -> None:
    """Notes that user code was given ``what`` where it asked for ``name``."""
    _used.setdefault(name, what)


def give(name: str, source: str) -> None:
    """Notes that user code was given what a source of the tables leads to."""
    use(name, "a stand-in of slim_resnet" if source.startswith("own.")
        else f"is {source.removeprefix('builtins.')} now")


def say(line: str) -> None:
    """Writes a line to stderr, once a process."""
    if line not in _said:
        _said.add(line)
        print(f"slim-resnet run: {line}", file=sys.stderr, flush=True)


_said = set()


def used() -> list:
    """Returns pairs ``(name, what)`` in the order of first use."""
    return list(_used.items())


def explain() -> None:
    """Writes the repairs that were used to stderr, a line each."""
    for name, what in _used.items():
        print(f"slim-resnet run: {name}: {what}", file=sys.stderr)
    if not _used:
        print("slim-resnet run: nothing had to be repaired", file=sys.stderr)
