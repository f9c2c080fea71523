"""Operations: what the answer to every change is, and how a client asks what became of it.

The answer to a change says that it goes on; whoever asks afterwards is told that it is done, and with which error.
A client that reads only the first answer finds no error. A request that comes again under its requestId changes
nothing: it gets the operation of the first one.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..errors import ApiError, invalid, not_found
from ..service import Answer, Call
from .links import link
from .listing import aggregated, listed
from .world import World

#: So many operations are kept.
_KEPT = 20_000

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SYSTEM = "system@google.com"


class Operations:
    """All operations, by their names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all: OrderedDict[str, dict[str, Any]] = OrderedDict()
        #: What was asked for under a request id.
        self._asked: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The methods of operations: of zones, of regions, and of all the world."""
        kinds = ("zoneOperations", "regionOperations", "globalOperations")
        return {
            **{f"compute.{kind}.get": self._get for kind in kinds},
            **{f"compute.{kind}.wait": self._get for kind in kinds},
            **{f"compute.{kind}.list": self._list for kind in kinds},
            "compute.globalOperations.aggregatedList": self._list_all,
        }

    def forget(self) -> None:
        """Forget all."""
        with self._world.lock:
            self._all.clear()
            self._asked.clear()

    def once(self, act: Callable[[Call], dict[str, Any]]) -> Answer:
        """Return an answer that does the same thing once for each request id."""

        def answer(call: Call) -> dict[str, Any]:
            request_id = call.values.get("requestId", "")
            if request_id and not _UUID.fullmatch(request_id):
                raise invalid(f"Invalid value for field 'requestId': '{request_id}'. Must be a valid UUID.")
            with self._world.lock:
                key = (call.method.id, request_id)
                done = self._asked.get(key) if request_id else None
                if done is None:
                    done = act(call)
                    self._asked[key] = done
                return done

        return answer

    def add(
        self,
        kind: str,
        target: str,
        *,
        error: tuple[str, str] | None = None,
        warnings: list[str] | None = None,
        system: bool = False,
    ) -> dict[str, Any]:
        """Record that something was done to what stands at a path; return the first answer, which says less."""
        with self._world.lock:
            name = f"{'systemevent' if system else 'operation'}-{self._world.new_id()}"
            scope = re.match(r"projects/[^/]+/((?:zones|regions)/[^/]+|global)", target)
            assert scope is not None, target
            done = self._resource(kind, name, target, scope=scope[0])
            done["user"] = _SYSTEM if system else f"tester@{self._world.project}.iam.gserviceaccount.com"
            if warnings:
                done["warnings"] = [{"code": "NOT_CRITICAL_ERROR", "message": text} for text in warnings]
            if error is not None:
                done |= _failed(*error)
            self._all[f"{scope[0]}/{name}"] = done
            while len(self._all) > _KEPT:
                self._all.popitem(last=False)
            return {
                **{key: done[key] for key in done if key not in _ONLY_AT_THE_END},
                "status": "RUNNING",
                "progress": 0,
            }

    def _resource(self, kind: str, name: str, target: str, *, scope: str) -> dict[str, Any]:
        now = timestamp(time.time())
        place, _, where = scope.partition("/")[2].partition("/")[2].partition("/")
        return {
            "kind": "compute#operation",
            "id": self._world.new_id(),
            "name": name,
            "operationType": kind,
            "targetLink": link(target),
            "status": "DONE",
            "progress": 100,
            "insertTime": now,
            "startTime": now,
            "endTime": now,
            "selfLink": link(f"{scope}/operations/{name}"),
            **({place.removesuffix("s"): link(scope)} if where else {}),
        }

    def _get(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            path = f"{_scope(call)}/{call.values['operation']}"
            if path not in self._all:
                raise not_found(f"The resource '{_scope(call)}/operations/{call.values['operation']}' was not found")
            return self._all[path]

    def _list(self, call: Call) -> dict[str, Any]:
        with self._world.lock:
            scope = f"{_scope(call)}/"
            found = [each for path, each in self._all.items() if path.startswith(scope)]
        return listed(call, "compute#operationList", f"{scope}operations", found)

    def _list_all(self, call: Call) -> dict[str, Any]:
        places: dict[str, list[dict[str, Any]]] = {}
        with self._world.lock:
            for path, each in self._all.items():
                places.setdefault("/".join(path.split("/")[2:-1]), []).append(each)
        return aggregated(call, "compute#operationAggregatedList", "operations", places)


_ONLY_AT_THE_END = ("endTime", "error", "httpErrorStatusCode", "httpErrorMessage", "warnings")


def timestamp(seconds: float) -> str:
    """Return a time as Google writes it."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="milliseconds")


def gone(path: str) -> ApiError:
    """A request for what is not there."""
    return not_found(f"The resource '{path}' was not found")


def exists(path: str) -> ApiError:
    """A request to make what is there."""
    return ApiError(409, "alreadyExists", f"The resource '{path}' already exists")


def _failed(code: str, message: str) -> dict[str, Any]:
    status, said = (403, "FORBIDDEN") if code == "QUOTA_EXCEEDED" else (400, "BAD REQUEST")
    errors = {"errors": [{"code": code, "message": message}]}
    return {"error": errors, "httpErrorStatusCode": status, "httpErrorMessage": said}


def _scope(call: Call) -> str:
    values = call.values
    place = next((f"{kind}s/{values[kind]}" for kind in ("zone", "region") if kind in values), "global")
    return f"projects/{values['project']}/{place}"
