"""Placeholders: `{name}` in a text becomes the value of a row, once, and every other brace stays as it is.

This is the one substitution of the project. A text is parsed once and rendered for every row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain

from sparkles.errors import RequestError, nearest

#: Names hold no braces, so the name of a placeholder ends at the next brace of any kind.
_BRACES = re.compile(r"\{\{(?P<escaped>[^{}]+)\}\}|\{(?P<name>[^{}]+)\}")
_IN_BRACES = re.compile(r"\{([^{}]+)\}")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


class UnknownParameterError(RequestError):
    """A text names a parameter that no row has."""

    def __init__(self, name: str, where: str, known: Collection[str]) -> None:
        self.name = name
        self.where = where
        names = sorted(known)
        super().__init__(
            f"{where}: no parameter named {name!r}; there is: {', '.join(names)}{nearest(name, names)}"
            f" (write {{{{{name}}}}} for the text {{{name}}})"
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: literals, with one field between each two of them."""

    #: Always one more than there are fields; may be empty strings.
    literals: tuple[str, ...]
    #: Parameter names in the order of their placeholders.
    fields: tuple[str, ...] = ()
    #: Whether each value becomes one quoted word of a /bin/sh line.
    quote: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The parameters this text depends on."""
        return frozenset(self.fields)

    def render(self, row: Mapping[str, str]) -> str:
        """Put the values of `row` in; they are never expanded again."""
        if not self.fields:
            return self.literals[0]
        values = [row[field] for field in self.fields]
        if self.quote:
            values = [quoted(value) for value in values]
        if len(values) == 1:  # nearly always, and a million times
            return f"{self.literals[0]}{values[0]}{self.literals[1]}"
        return "".join(chain.from_iterable(zip(self.literals, [*values, ""], strict=True)))


def quoted(value: str) -> str:
    """Return `value` as shell text that always stands in quotes.

    `shlex.quote` leaves plain values bare, and what surrounds a bare value can still change it: `{n}>log`
    would be a file descriptor, `$HOME{x}` a longer variable, `~{user}` a directory, `{tool}` a keyword.
    """
    return "'" + value.replace("'", "'\"'\"'") + "'"


def parse(text: str, known: Collection[str], where: str) -> Template:
    """Find the placeholders of `text`; `known` always includes `index`."""
    if "{" not in text:
        return Template((text,))
    literals, fields = [""], list[str]()
    end = 0
    for match in _BRACES.finditer(text):
        literals[-1] += text[end : match.start()]
        end = match.end()
        if match["escaped"] is not None:
            literals[-1] += _unescaped(match["escaped"], known)
        elif match["name"] in known:
            fields.append(match["name"])
            literals.append("")
        elif _is_identifier(match["name"]) and not text.endswith("$", 0, match.start()):
            raise UnknownParameterError(match["name"], where, known)
        else:
            literals[-1] += match[0]
    literals[-1] += text[end:]
    return Template(tuple(literals), tuple(fields))


def names(text: str) -> frozenset[str]:
    """Return the parameters that a text may depend on, where the known ones are not known yet.

    >>> sorted(names("samples/{sample}.{{x}}"))
    ['sample']
    """
    found = (match["name"] for match in _BRACES.finditer(text))
    return frozenset(name for name in found if name and _is_identifier(name))


def escaped(text: str, known: Collection[str]) -> str:
    """Return what `parse` takes for exactly this text.

    >>> escaped("{x} {2}", ["x"])
    '{{x}} {2}'
    """

    def literal(match: re.Match[str]) -> str:
        return f"{{{match[0]}}}" if match[1] in known or _is_identifier(match[1]) else match[0]

    return _IN_BRACES.sub(literal, text)


def _unescaped(name: str, known: Collection[str]) -> str:
    return f"{{{name}}}" if name in known or _is_identifier(name) else f"{{{{{name}}}}}"


def _is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None
