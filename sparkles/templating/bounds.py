"""Bounds: what a template may not compute, since the result would be absurdly large. Checked before, not after."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from string import Formatter
from typing import Any

from jinja2.exceptions import SecurityError

from sparkles.manifest.text import MAX_CHARACTERS

#: Of the result of `*` and `**`: some 3000 digits.
_MAX_BITS = 10_000

#: In `%` formats and in `{}` formats: a width or a precision that is absurd, or that comes from a value.
_PERCENT = re.compile(r"(?<!%)(?:%%)*%[-+ #0]*[0-9.]*(?:\*|[0-9]{8})")
_SPEC = re.compile(r"\{|[0-9]{8}")
_WIDTH = "a width in a format is written as digits, at most 7 of them"

#: Methods of a text that fill it up to a width.
_FILLING = {"center", "expandtabs", "ljust", "rjust", "zfill"}


def check_size(size: int) -> None:
    """Refuse more than a manifest may have."""
    if size > MAX_CHARACTERS:
        raise SecurityError(f"this makes {size:,} characters or items, expected at most {MAX_CHARACTERS:,}")


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse what an operator would make too large."""
    match operator, left, right:
        case ("*", int(), int()) if left.bit_length() + right.bit_length() > _MAX_BITS:
            raise SecurityError("the product has too many digits")
        case ("**", int(), int()) if left.bit_length() * right > _MAX_BITS:
            raise SecurityError("the power has too many digits")
        case ("*", str() | list() | tuple(), int()):
            check_size(len(left) * right)
        case ("*", int(), str() | list() | tuple()):
            check_size(left * len(right))
        case ("+", str() | list() | tuple(), str() | list() | tuple()):
            check_size(len(left) + len(right))
        case ("%", str(), _):
            _check_percent(left)


def check_call(function: Any, *arguments: Any) -> None:
    """Refuse what a method of a text would make too large."""
    owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
    if not isinstance(owner, str):
        return
    if function.__name__ == "translate":
        raise SecurityError("translate cannot be used; replace can")
    if function.__name__ == "replace":
        check_replacement(owner, *arguments[:2])
    elif function.__name__ in _FILLING:
        _check_widths(*arguments)
    elif function.__name__ in ("format", "format_map"):
        _check_fields(owner)


def filling(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that refuses to fill a text or a list up to an absurd width."""

    @wraps(function)
    def checked(*arguments: Any, **named: Any) -> Any:
        if name == "format":
            _check_percent(str(arguments[0]))
        elif name == "replace":  # its first argument is about escaping
            check_replacement(*arguments[1:4])
        elif name == "indent":
            _check_indent(*arguments, **named)
        else:
            _check_widths(*arguments[1:], *named.values())
        return function(*arguments, **named)

    return checked


def check_replacement(text: Any, old: Any, new: Any) -> None:
    """Refuse a replacement that would make a text too long."""
    times = str(text).count(str(old))
    check_size(len(str(text)) + times * (len(str(new)) - len(str(old))))


def _check_indent(text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    check_size((str(text).count("\n") + 1) * (width if isinstance(width, int) else len(str(width))))


def _check_percent(text: str) -> None:
    if _PERCENT.search(text):
        raise SecurityError(_WIDTH)


def _check_fields(text: str) -> None:
    if any(_SPEC.search(spec or "") for _, _, spec, _ in Formatter().parse(text)):
        raise SecurityError(_WIDTH)


def _check_widths(*arguments: Any) -> None:
    for argument in arguments:
        if isinstance(argument, int):
            check_size(argument)
