"""Sandbox: Jinja's own, with bounds on what a template computes.

A template has no file but its own, no chance and no clock, so that the same values always give the same text. What
could go on without end is counted or measured: rounds of loops, calls, texts, numbers. For that the tree of a template
is changed, so that loops and `~` come by here; Jinja does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from sparkles.errors import nearest
from sparkles.templating.bounds import check_call, check_operation, check_size, filling
from sparkles.templating.lines import OwnLines
from sparkles.templating.text import as_json, as_text

#: Rounds of loops in one template; a call takes about as long as ten of them.
MAX_STEPS = 10_000_000
_CALL = 10

#: Filters that make as much as a number says.
_FILLING = ("batch", "center", "format", "indent", "replace", "slice")


class Sandbox(ImmutableSandboxedEnvironment):
    """Where one template is rendered; `known` are the names that have values."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, known: Collection[str]) -> None:
        super().__init__(
            undefined=_undefined(known), finalize=as_text, keep_trailing_newline=True, extensions=[OwnLines]
        )
        self._steps = 0
        self.filters |= {name: filling(name, self.filters[name]) for name in _FILLING}
        self.filters |= {"tojson": as_json, "string": as_text}
        del self.filters["random"]
        for name in ("lipsum", *known):  # a value hides a function of Jinja's
            self.globals.pop(name, None)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what `obj.attribute` is: in a mapping its value first, so that any name can be one."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - Jinja's signature
        """Call a function."""
        __self._count(_CALL)
        check_call(__obj, *args, *kwargs.values())
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute what one of `intercepted_binops` makes of two values."""
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items of a loop."""
        for item in items:
            self._count(1)
            yield item

    def joined(self, *values: Any) -> str:
        """Return what `~` makes of its sides: what they print as."""
        return self.concat(map(as_text, values))

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Return the text of a macro or a block."""
        texts = list(parts)
        check_size(sum(map(len, texts)))
        return "".join(texts)

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise SecurityError(f"this takes more than {MAX_STEPS:,} steps")


class Guarded(NodeTransformer):
    """Sends the loops and the `~` of a template through its sandbox."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        """Count the rounds."""
        self.generic_visit(node)
        node.iter = _call("counted", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja's name
        """Bound the length."""
        self.generic_visit(node)
        return _call("joined", *node.nodes).set_lineno(node.lineno)


def _call(name: str, *arguments: nodes.Node) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(arguments), [], None, None)


def _undefined(known: Collection[str]) -> type[StrictUndefined]:
    class Missing(StrictUndefined):
        """A name without a value: an error wherever it is used but in `is defined` and `default`."""

        @property
        def _undefined_message(self) -> str:
            name, owner = self._undefined_name, self._undefined_obj
            if isinstance(owner, dict) and not self._undefined_hint:
                return f"no {name!r} in this mapping; there is: {', '.join(map(str, owner))}{_near(name, owner)}"
            message = super()._undefined_message
            if not message.endswith(" is undefined"):
                return message
            return f"{message}; set it with --set {name}=VALUE or in a --values file{_near(name, known)}"

    return Missing


def _near(name: Any, known: Collection[Any]) -> str:
    return nearest(str(name), map(str, known))
