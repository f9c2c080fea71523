"""Render: templates and values in, texts out, or one error that names the line of the template."""

from __future__ import annotations

import re
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, meta, nodes

from sparkles.errors import RequestError, nearest
from sparkles.manifest.text import MAX_CHARACTERS
from sparkles.templating.sandbox import Guarded, Sandbox
from sparkles.templating.values import Path, Values

#: Tags that would read another file.
_OTHER_FILES: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Extends: "extends",
}
#: What may name something that there is not.
_NAMING: tuple[type[nodes.Node], ...] = (*_OTHER_FILES, nodes.Filter, nodes.Test)
_NO_TEXT = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Template:
    """A text to render, and where it was read from."""

    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    template: Template
    sandbox: Sandbox
    tree: nodes.Template
    #: The names that it wants values for: `("model", "layers")` for `model.layers`.
    used: frozenset[Path]


def render(templates: Sequence[Template], values: Values, *, used: Collection[Path] = ()) -> list[str]:
    """Return the text of each template. Each name in `used` has to be used by one of them."""
    parsed = [_parsed(template, values) for template in templates]
    _check_used(used, {path for one in parsed for path in one.used})
    return [_rendered(one, values) for one in parsed]


# Reading a template


def _parsed(template: Template, values: Values) -> _Parsed:
    sandbox = Sandbox(values)
    _check_size(template, len(template.text))
    with _errors(template):
        tree = sandbox.parse(template.text.removeprefix("\ufeff"))
        _check_tags(tree, sandbox)
        wanted = meta.find_undeclared_variables(tree)
        used = frozenset(path for path in _paths(tree) if path[0] in wanted)
        return _Parsed(template=template, sandbox=sandbox, tree=tree, used=used)


def _check_tags(tree: nodes.Template, sandbox: Sandbox) -> None:
    """Refuse what there is not, even where this rendering would not come by."""
    for node in tree.find_all(_NAMING):
        if tag := _OTHER_FILES.get(type(node)):
            raise TemplateSyntaxError(f"{tag!r} cannot be used: a template is one file", node.lineno)
        known = sandbox.filters if isinstance(node, nodes.Filter) else sandbox.tests
        name = getattr(node, "name", None)
        if name and name not in known:
            kind = type(node).__name__.lower()
            raise TemplateSyntaxError(f"no {kind} named {name!r}{nearest(name, known)}", node.lineno)


# The names that templates use


def _paths(node: nodes.Node, rest: Path = ()) -> Iterator[Path]:
    match node:
        case nodes.Name():
            yield (node.name, *rest)
        case nodes.Getattr():
            yield from _paths(node.node, (node.attr, *rest))
        case nodes.Getitem(arg=nodes.Const(value=str(key))):
            yield from _paths(node.node, (key, *rest))
        case nodes.Call(node=nodes.Getattr(node=owner)):  # a method looks at all of its owner
            for below in (owner, *node.iter_child_nodes(exclude=["node"])):
                yield from _paths(below)
        case _:
            for below in node.iter_child_nodes():
                yield from _paths(below)


def _check_used(names: Collection[Path], used: Collection[Path]) -> None:
    """Refuse a name that is not used: neither it, nor what it is in, nor what is in it."""
    for name in names:
        if not any(path[: len(name)] == name[: len(path)] for path in used):
            dotted, known = ".".join(name), sorted({".".join(path) for path in used})
            there = f"; used are: {', '.join(known)}" if known else "; no names are used at all"
            raise RequestError(f"--set {dotted}: no template uses {dotted!r}{there}{nearest(dotted, known)}")


# Rendering


def _rendered(parsed: _Parsed, values: Values) -> str:
    template, sandbox = parsed.template, parsed.sandbox
    with _errors(template):
        code = sandbox.compile(Guarded().visit(parsed.tree), filename=template.source)
        compiled = sandbox.template_class.from_code(sandbox, code, sandbox.globals)
        parts: list[str] = []
        size = 0
        for part in compiled.generate(values):
            size += len(part)
            _check_size(template, size)
            parts.append(part)
        return _checked("".join(parts))


def _checked(text: str) -> str:
    if bad := _NO_TEXT.search(text):
        raise ValueError(f"U+{ord(bad.group()):04X} is not a character of Unicode text")
    return text


def _check_size(template: Template, size: int) -> None:
    if size > MAX_CHARACTERS:
        raise RequestError(f"{template.source}: too long, expected at most {MAX_CHARACTERS:,} characters")


# Errors


@contextmanager
def _errors(template: Template) -> Iterator[None]:
    try:
        yield
    except RequestError:
        raise
    except TemplateSyntaxError as error:
        raise RequestError(f"{template.source}:{error.lineno}: {_said(error)}") from None
    except Exception as error:  # whatever the expressions of a template can raise
        line = _line(error, template.source)
        raise RequestError(f"{template.source}{f':{line}' if line else ''}: {_said(error)}") from error


def _line(error: Exception, source: str) -> int | None:
    """Return the innermost line of the template that an error passed; Jinja puts them into its traceback."""
    steps = reversed(list(traceback.walk_tb(error.__traceback__)))
    return next((line for frame, line in steps if frame.f_code.co_filename == source), None)


def _said(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(getattr(error, "message", None) or error)
    words = " ".join(text.split())
    return words.rstrip(".") or type(error).__name__
