"""Shell lines: each placeholder in a /bin/sh line becomes one word, whatever its value holds.

Values are put in quotes when a line is rendered. A placeholder where those quotes would not protect is an
error that says what to write instead. So is one after a construct that shells read in different ways.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import cache

from sparkles import placeholders
from sparkles.errors import RequestError
from sparkles.placeholders import Template


class _In(Enum):
    """What the shell is reading."""

    LINE = auto()
    COMMAND = auto()  # $(…)
    GROUP = auto()  # (…)
    WORD = auto()  # ${v:-…}
    NAME = auto()  # any other ${…}
    SINGLE = auto()  # '…'
    DOUBLE = auto()  # "…"
    DOUBLE_BRACE = auto()  # "${…}"
    ANSI = auto()  # $'…', which some shells know
    BACKTICK = auto()
    COMMENT = auto()
    ARITHMETIC = auto()  # $((…)), ((…)) and each parenthesis in them
    HEREDOC = auto()  # all that follows <<
    DOUBT = auto()  # all that follows something shells disagree about


#: rule: (what it looks like, the places it opens). A placeholder is shown to the rules as \0.
_RULES: dict[str, tuple[str, tuple[_In, ...]]] = {
    "slot": (r"\0", ()),
    "after_backslash": (r"\\\0", ()),
    "after_dollar": (r"\$\0", ()),
    "continuation": (r"\\\n", ()),
    "escape": (r"\\[^\0]", ()),
    "pid": (r"\$\$", ()),
    "arithmetic": (r"\$\(\(", (_In.ARITHMETIC, _In.ARITHMETIC)),
    "command": (r"\$\(", (_In.COMMAND,)),
    "backtick": (r"`", (_In.BACKTICK,)),
    "single": (r"'", (_In.SINGLE,)),
    "double": (r'"', (_In.DOUBLE,)),
    "ansi": (r"\$'", (_In.ANSI,)),
    "word": (r"\$\{(?:\w+|[@*#?$!-])(?::?[-?+]|%%?|##?)", (_In.WORD,)),
    "name": (r"\$\{", (_In.NAME,)),
    "double_brace": (r"\$\{", (_In.DOUBLE_BRACE,)),
    "gap": (r"[ \t\n;&|>]|<<<|<(?!<)", ()),
    "heredoc": (r"<<", (_In.HEREDOC,)),
    # Bash expands the word after `>&` a second time, unless it is a number or `-`.
    "duplicate": (r">&(?![ \t]*(?:\d+|-)(?:[\s;&|)<>]|$))", (_In.DOUBT,)),
    "bare_arithmetic": (r"\(\(", (_In.ARITHMETIC, _In.ARITHMETIC)),
    "nested": (r"\(", (_In.ARITHMETIC,)),
    "group": (r"\(", (_In.GROUP,)),
    "comment": (r"#", (_In.COMMENT,)),
    # The `)` of a pattern of `case` would be taken for the end of `$(…)`.
    "case": (r"c(?:\\\n)*a(?:\\\n)*s(?:\\\n)*e(?=[ \t\n\\])", (_In.DOUBT,)),
    "split_dollar": (r"\$\\\n", (_In.DOUBT,)),
    "split_operator": (r"[<(]\\\n", (_In.DOUBT,)),
    "old_arithmetic": (r"\$\[", (_In.DOUBT,)),
    "quote": (r"['\"]", (_In.DOUBT,)),
    "ansi_quote": (r"\\'", (_In.DOUBT,)),
    # `$((` may also be a command that begins with a group; this is what only that could hold.
    "no_arithmetic": (r"['\"\n]|(?<=[\s(;&|])#|\)#", (_In.DOUBT,)),
}
_EXPANSIONS = ("pid", "split_dollar", "arithmetic", "command", "backtick")
_QUOTED = ("escape", *_EXPANSIONS, "double_brace")
_UNQUOTED = ("after_backslash", "continuation", "escape", "after_dollar", *_EXPANSIONS, "ansi",
             "old_arithmetic", "word", "name", "single", "double")  # fmt: skip
_CODE = (*_UNQUOTED, "split_operator", "duplicate", "gap", "heredoc", "bare_arithmetic", "group", "comment", "case")

#: place: (the rules that count there, the first that matches wins; what ends it)
_PLACES: dict[_In, tuple[tuple[str, ...], str]] = {
    _In.LINE: (_CODE, r"\)"),
    _In.COMMAND: (_CODE, r"\)"),
    _In.GROUP: (_CODE, r"\)"),
    _In.WORD: (_UNQUOTED, r"\}"),
    _In.NAME: (_UNQUOTED, r"\}"),
    _In.SINGLE: ((), r"'"),
    _In.DOUBLE: (_QUOTED, r'"'),
    _In.DOUBLE_BRACE: ((*_QUOTED, "quote"), r"\}"),
    _In.ANSI: (("ansi_quote", "escape"), r"'"),
    _In.BACKTICK: (("escape",), r"`"),
    _In.COMMENT: ((), r"\n"),
    _In.ARITHMETIC: ((*_QUOTED, "no_arithmetic", "nested"), r"\)"),
    _In.HEREDOC: ((), r"(?!)"),
    _In.DOUBT: ((), r"(?!)"),
}

_UNQUOTE = 'values are quoted for you: remove the quotes around {x} (write "a "{x}" b" for "a {x} b")'
_BY_ENV = 'pass it by env: {X: "{x}"} and write "$X"'
#: What to do about a placeholder, by its place or by the rule that met it. No advice: it is safe there.
_ADVICE: dict[_In | str, str] = {
    "after_backslash": "values are quoted for you: remove the backslash before {x}",
    "after_dollar": "remove the $ before {x}, or write ${{x}} for the shell's own variable",
    _In.SINGLE: _UNQUOTE,
    _In.DOUBLE: _UNQUOTE,
    _In.DOUBLE_BRACE: _UNQUOTE,
    _In.ANSI: _UNQUOTE,
    _In.NAME: f"{{x}} cannot stand in this ${{…}}: {_BY_ENV}",
    _In.BACKTICK: "{x} stands inside `…`: use $(…)",
    _In.COMMENT: "{x} stands in a comment: remove it, or write {{x}} for the text {x}",
    _In.ARITHMETIC: f"{{x}} stands in arithmetic: {_BY_ENV}",
    _In.HEREDOC: f"{{x}} stands after <<: {_BY_ENV}",
    _In.DOUBT: f"shells disagree about the quoting before {{x}}: {_BY_ENV}",
}


def is_line(words: Sequence[str]) -> bool:
    """Whether the words of a command line are one /bin/sh line rather than a program and its arguments."""
    return len(words) == 1 and re.search(r"[\s|&;<>]", words[0], re.ASCII) is not None


def parse(text: str, known: Collection[str], where: str) -> Template:
    """Find the placeholders of a /bin/sh line and make sure that each will be one word."""
    if "\0" in text:
        raise RequestError(f"{where}: a command cannot hold a NUL character")
    template = placeholders.parse(text, known, where)
    _check(template, where)
    return replace(template, quote=True)


def _check(template: Template, where: str) -> None:
    """Read the line as a shell does and refuse the first placeholder that quotes would not protect."""
    text = "\0".join(template.literals)
    places: tuple[_In, ...] = (_In.LINE,)
    end, word_start, names = 0, True, iter(template.fields)
    while match := _pattern(places[-1]).search(text, end):
        word_start = word_start and match.start() == end
        end = match.end()
        rule = str(match.lastgroup)
        if "\0" in match[0]:
            _check_place(next(names), rule, places[-1], where)
        places, word_start = _read(rule, places, word_start)


def _check_place(name: str, rule: str, place: _In, where: str) -> None:
    advice = _ADVICE.get(rule) or _ADVICE.get(place)
    if advice:
        raise RequestError(f"{where}: {advice.replace('{x}', f'{{{name}}}')}")


def _read(rule: str, places: tuple[_In, ...], word_start: bool) -> tuple[tuple[_In, ...], bool]:
    """Return the places after `rule` was met, and whether a word can start there."""
    if rule == "continuation":
        return places, word_start
    if rule == "close":
        return places[:-1] or places, places[-1] in (_In.LINE, _In.GROUP, _In.COMMENT)
    if rule in ("comment", "case") and not word_start:
        return places, False
    if rule == "case" and _In.COMMAND not in places:
        return places, False
    return places + _RULES[rule][1], rule in ("gap", "command", "group")


@cache
def _pattern(place: _In) -> re.Pattern[str]:
    """Return what is looked for in a place; made when it is first needed, since most commands are no shell lines."""
    rules, close = _PLACES[place]
    looks = [(rule, _RULES[rule][0]) for rule in rules]
    looks += [("close", close), ("slot", r"\0")]
    return re.compile("|".join(f"(?P<{rule}>{look})" for rule, look in looks))
