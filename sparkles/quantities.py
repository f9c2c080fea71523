"""Quantities: numbers as people read them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "task"), counted(2, "task")
    ('1 task', '2 tasks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def human_bytes(size: int) -> str:
    """Return a size for people.

    >>> human_bytes(2100)
    '2.1 kB'
    """
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def clock(seconds: float) -> str:
    """Return a time span for people: minutes and seconds, with hours and days before them if there are any.

    >>> clock(3.9), clock(125), clock(3_720), clock(90_000)
    ('0:03', '2:05', '1:02:00', '1 d 1:00:00')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clocked = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days} d {clocked}" if days else clocked


def duration(seconds: float) -> str:
    """Return how long something took, for people: short ones with their fractions.

    >>> duration(0.004), duration(12.34), duration(125)
    ('4 ms', '12.3 s', '2:05')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.3g} s" if seconds < 60 else clock(seconds)
