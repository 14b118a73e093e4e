"""Numbers short enough for a table: three digits and a unit."""

_POWERS = ("", "k", "M", "G", "T", "P", "E")


def short_count(value: int) -> str:
    """Returns a whole number to three digits, such as ``2.36 G``; below 1000 it is exact."""
    return _short(value).rstrip()


def short_bytes(value: int) -> str:
    """Returns a number of bytes to three digits, such as ``1.61 MB`` (a million bytes)."""
    return f"{_short(value)}B"


def _short(value):
    scaled, power = value, 0
    # What would be rounded to 1000 is 1.00 of the next unit.
    while scaled >= (1000 if power == 0 else 999.5) and power < len(_POWERS) - 1:
        scaled, power = scaled / 1000, power + 1
    number = f"{scaled:#.3g}".rstrip(".") if power else str(value)
    return f"{number} {_POWERS[power]}"


def clock(seconds: float) -> str:
    """Returns a duration as ``minutes:seconds``, with hours before them from 60 minutes on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
