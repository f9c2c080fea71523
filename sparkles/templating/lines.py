"""Lines: a tag that has its line to itself leaves no line behind; beside other text, white space stays as it is.

Jinja can drop the new line after every tag, or after none. In YAML the one joins `{% if x %}…{% endif %}` at the end of
a line to the next line, the other leaves blank lines in a script; each could change a command without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2.ext import Extension
from jinja2.lexer import TOKEN_BLOCK_BEGIN, TOKEN_BLOCK_END, TOKEN_DATA, Token, TokenStream

_INDENT = re.compile(r"[ \t]*\Z")
_REST = re.compile(r"[ \t]*\n")


class OwnLines(Extension):
    """Takes the lines of lone tags out of a template's tokens."""

    def filter_stream(self, stream: TokenStream) -> list[Token]:
        """Return the tokens without these lines."""
        tokens = list(stream)
        fresh = 0  # the token that begins a line, for all that is known without looking before it
        for begin, end in _tags(tokens):
            if _begins_line(tokens, begin, fresh) and _ends_line(tokens, end):
                if begin and tokens[begin - 1].type == TOKEN_DATA:
                    tokens[begin - 1] = _without(_INDENT, tokens[begin - 1])
                tokens[end + 1] = _without(_REST, tokens[end + 1])
                fresh = end + 1
        return tokens


def _tags(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    begin = 0
    for place, token in enumerate(tokens):
        if token.type == TOKEN_BLOCK_BEGIN:
            begin = place
        elif token.type == TOKEN_BLOCK_END:
            yield begin, place


def _begins_line(tokens: list[Token], begin: int, fresh: int) -> bool:
    """Return whether nothing but blanks stands before a tag on its line."""
    if begin == fresh:
        return True
    before = tokens[begin - 1]
    blanks = before.type == TOKEN_DATA and _INDENT.search(before.value)
    if not blanks:
        return False
    start = blanks.start()
    return before.value[start - 1] == "\n" if start else begin - 1 == fresh


def _ends_line(tokens: list[Token], end: int) -> bool:
    after = tokens[end + 1] if end + 1 < len(tokens) else None
    return after is not None and after.type == TOKEN_DATA and _REST.match(after.value) is not None


def _without(pattern: re.Pattern[str], token: Token) -> Token:
    return token._replace(value=pattern.sub("", token.value, count=1))
