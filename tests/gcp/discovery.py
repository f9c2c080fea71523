"""What Google's discovery document of an API says of requests and responses. Knows no API.

The documents are those that google-api-python-client brings. They describe shapes: names, types, enums, what is
required. They say nothing of behaviour.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from .shapes import Schema, Shapes, bad_text

#: Parameters that every API takes, and that not every document lists.
_STANDARD: Mapping[str, Schema] = {
    "$.xgafv": {"type": "string", "enum": ["1", "2"]},
    "access_token": {"type": "string"},
    "callback": {"type": "string"},
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of an API."""

    id: str
    #: Of its path and its query, with those that all methods take.
    parameters: Mapping[str, Schema]
    #: Those of the path, in its order.
    path_names: tuple[str, ...]
    request: Schema | None
    response: Schema | None


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a request leads."""

    method: Method
    #: What stands in the path for each `{name}`, decoded.
    values: Mapping[str, str]
    #: Whether the body is the content of an upload rather than a JSON document.
    upload: bool


@dataclass(frozen=True, kw_only=True)
class _Template:
    path: re.Pattern[str]
    method: Method
    upload: bool

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the values of a path that fits. One of several words must have the words that the method says."""
        found = self.path.fullmatch(path)
        values = {name: unquote(text) for name, text in found.groupdict().items()} if found else None
        return None if values and any(map(self._strays, values.items())) else values

    def _strays(self, value: tuple[str, str]) -> bool:
        name, text = value
        return "/" in text and not re.fullmatch(self.method.parameters[name].get("pattern", ".*"), text, re.DOTALL)


class Document:
    """A discovery document: where a request leads, and what is wrong with it or with the answer."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.methods = {method["id"]: self._method(method, document) for method in _walk(document)}
        self._shapes = Shapes(document["schemas"])
        self._templates: dict[tuple[str, int], list[_Template]] = {}
        for method in sorted(_walk(document), key=_plain_length, reverse=True):
            for path, upload in _paths(method, f"/{document['servicePath']}"):
                template = _Template(path=_pattern(path), method=self.methods[method["id"]], upload=upload)
                words = path.replace(method["path"], method.get("flatPath", method["path"])).count("/")
                self._templates.setdefault((method["httpMethod"], words), []).append(template)

    @classmethod
    @cache
    def load(cls, api: str) -> Document:
        """Return the document of an API, such as `compute.v1`."""
        folder = files("googleapiclient") / "discovery_cache" / "documents"
        return cls(json.loads((folder / f"{api}.json").read_text(encoding="utf-8")))

    def route(self, verb: str, path: str) -> Route | None:
        """Say which method a request is for. The path is as it came: a name in it may hold an encoded `/`."""
        for template in self._templates.get((verb, path.count("/")), ()):
            values = template.match(path)
            if values is not None:
                return Route(method=template.method, values=values, upload=template.upload)
        return None

    def wrong_parameters(
        self, method: Method, values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        """Yield what is wrong with the parameters of a request, those of the path and those of the query."""
        for name, text in (*values.items(), *query):
            known = method.parameters.get(name)
            wrong = "there is no such parameter" if known is None else bad_text(text, known)
            if wrong:
                yield f"{method.id}: {name}: {wrong}"
        given = [name for name, _ in query]
        for name, known in method.parameters.items():
            if known.get("required") and name not in values and name not in given:
                yield f"{method.id}: {name}: is required"
            if given.count(name) > 1 and not known.get("repeated"):
                yield f"{method.id}: {name}: is given more than once"

    def wrong_request(self, method: Method, body: Any) -> Iterator[str]:
        """Yield what is wrong with the JSON body of a request; None is no body."""
        if method.request is None:
            if body not in (None, {}):
                yield f"{method.id}: takes no body"
            return
        sent = {} if body is None else body
        for wrong in self._shapes.problems(sent, method.request, method=method.id, sent=True):
            yield f"{method.id}{wrong}"

    def wrong_response(self, method: Method, body: Any) -> Iterator[str]:
        """Yield what is wrong with the JSON body of an answer; None is no body."""
        if method.response is None:
            if body is not None:
                yield f"{method.id}: the answer has a body"
            return
        if body is None:
            yield f"{method.id}: the answer lacks a body"
            return
        for wrong in self._shapes.problems(body, method.response, method=method.id, sent=False):
            yield f"{method.id}: answer{wrong}"

    def _method(self, method: Mapping[str, Any], document: Mapping[str, Any]) -> Method:
        return Method(
            id=method["id"],
            parameters={**_STANDARD, **document.get("parameters", {}), **method.get("parameters", {})},
            path_names=tuple(re.findall(r"{\+?(\w+)}", method["path"])),
            request=method.get("request"),
            response=method.get("response"),
        )


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from node.get("methods", {}).values()
    for resource in node.get("resources", {}).values():
        yield from _walk(resource)


def _paths(method: Mapping[str, Any], base: str) -> Iterator[tuple[str, bool]]:
    """Yield the paths of a method, and whether each is that of an upload."""
    yield base + method["path"], False
    if method.get("useMediaDownloadService"):
        yield f"/download{base}{method['path']}", False
    for protocol in method.get("mediaUpload", {}).get("protocols", {}).values():
        yield protocol["path"], True


def _pattern(path: str) -> re.Pattern[str]:
    """Translate a template: `{name}` is one word of a path, `{+name}` one or more."""
    several = re.sub(r"\\{\\\+(\w+)\\}", r"(?P<\1>.+)", re.escape(path))
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", several))


def _plain_length(method: Mapping[str, Any]) -> int:
    """Of two templates for one path the one that says more of it is meant."""
    return len(re.sub(r"{[^}]*}", "", method["path"]))
