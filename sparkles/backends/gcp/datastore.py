"""Datastore: the five calls that the state needs of Google's client, each with a time limit and the errors it can have.

Made of the client's protobuf layer: the layer above it costs ten times as much for each record, and does not know of
base versions. Nothing is retried here by the client itself: what is safe to do again is decided where it is known.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import google.auth
import grpc
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.datastore_v1.services.datastore import DatastoreClient
from google.cloud.datastore_v1.services.datastore.transports import DatastoreGrpcTransport
from google.cloud.datastore_v1.types import datastore as calls
from google.cloud.datastore_v1.types import entity as entities
from google.cloud.datastore_v1.types import query as queries

from sparkles.backends.gcp import silence
from sparkles.backends.gcp.wording import sign_in
from sparkles.errors import BackendError, UnreachableError

#: The protobuf messages themselves; the classes around them cost more than all the rest.
Entity = entities.Entity.pb()
Mutation = calls.Mutation.pb()
Query = queries.Query.pb()

#: Fails a mutation, and with it the commit, if the record is not the one that was read.
FAIL = calls.Mutation.ConflictResolutionStrategy.FAIL

#: Keys that one lookup may name, and mutations that one commit may hold.
_KEYS_A_LOOKUP = 1000
MUTATIONS_A_COMMIT = 500

#: Seconds for one call, at most; it may be this part of the time in which it is made again and again.
_TIME_LIMIT, _PART = 10.0, 0.4

#: Records that come with one answer.
_PAGE = 1000

#: Seconds before a call is made again: from this, doubled, to that; and some of it at random.
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 2.0

#: How a connection is made: one of its own for each channel, so that a new channel does not share one that is dead.
_CHANNEL = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)

#: Nothing was written, since a record is not what was expected. The service may say so in any of these ways.
_CONFLICTS = (exceptions.Aborted, exceptions.FailedPrecondition, exceptions.AlreadyExists, exceptions.NotFound)

#: The call may have been carried out or not.
_UNKNOWN = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.Cancelled,
)

#: The call was not carried out, and may be later.
_BUSY = (exceptions.ResourceExhausted, exceptions.Aborted)


class ConflictError(Exception):
    """Nothing was written: another writer came between. Or there is no database: Google says so in the same words."""


class UnknownOutcomeError(Exception):
    """Nobody knows whether it was written."""


class Patience:
    """The time that a call may be made again and again in."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._wait = _FIRST_WAIT

    def wait(self, error: Exception) -> None:
        """Sleep before the next try; if there is no time left, raise UnreachableError with the last one's `error`."""
        if time.monotonic() + self._wait > self._deadline:
            raise UnreachableError(
                f"Datastore has not done what it was asked to for {self._seconds:g} s, the last time because: "
                f"{_first_line(error)}"
            )
        time.sleep(self._wait * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads load, no more
        self._wait = min(2 * self._wait, _LONGEST_WAIT)


class Datastore:
    """One namespace of one database. May be used by several threads."""

    def __init__(self, *, project: str, database: str, namespace: str, patience: float) -> None:
        """Connect. `patience`: seconds in which what only reads is tried again."""
        self.project = project
        self.database = "" if database == "(default)" else database
        self.namespace = namespace
        self.patience = patience
        self._limit = min(_TIME_LIMIT, _PART * patience)
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()
        self._api = self._connect()

    def _connect(self) -> DatastoreClient:
        if host := os.environ.get("DATASTORE_EMULATOR_HOST"):
            self._channel = grpc.insecure_channel(host, options=_CHANNEL)
        else:
            try:
                credentials, _ = google.auth.default(scopes=DatastoreGrpcTransport.AUTH_SCOPES)
            except GoogleAuthError as error:
                raise sign_in("Datastore", _first_line(error)) from None
            self._channel = DatastoreGrpcTransport.create_channel(
                DatastoreGrpcTransport.DEFAULT_HOST, credentials=credentials, options=_CHANNEL
            )
        return DatastoreClient(transport=DatastoreGrpcTransport(channel=self._channel))

    def _reconnect(self, failed: DatastoreClient) -> None:
        """Connect anew after a call that was not answered, unless another thread has: the connection may be dead."""
        with self._lock:
            if self._api is failed:
                self._api = self._connect()  # the old one goes when nobody waits for it any more

    def close(self) -> None:
        """Give the connection back."""
        if self._channel:
            self._channel.close()

    def name(self, key: Any, kind: str, name: str) -> None:
        """Fill in a key."""
        key.partition_id.project_id = self.project
        key.partition_id.database_id = self.database
        key.partition_id.namespace_id = self.namespace
        step = key.path.add()
        step.kind, step.name = kind, name

    def lookup(self, keys: Sequence[tuple[str, str]]) -> Iterator[tuple[Any, float]]:
        """Yield (result with entity and version, seconds since it was written) of those (kind, name) that exist.

        Both times that make the age are the server's.
        """
        for start in range(0, len(keys), _KEYS_A_LOOKUP):
            request = calls.LookupRequest.pb()(project_id=self.project, database_id=self.database)
            for kind, name in keys[start : start + _KEYS_A_LOOKUP]:
                self.name(request.keys.add(), kind, name)
            while request.keys:
                response = calls.LookupResponse.pb(self._read("lookup", calls.LookupRequest.wrap(request)))
                for found in response.found:
                    yield found, _between(found.update_time, response.read_time)
                deferred = list(response.deferred)
                del request.keys[:]
                request.keys.extend(deferred)

    def commit(self, mutations: Sequence[Any]) -> None:
        """Write all or nothing.

        Raises ConflictError if nothing was written because a record was not as expected, UnknownOutcomeError if nobody
        knows, and BackendError if it will not be written however often it is tried.
        """
        request = calls.CommitRequest.pb()(
            project_id=self.project, database_id=self.database, mode=calls.CommitRequest.Mode.TRANSACTIONAL
        )
        request.single_use_transaction.read_write.SetInParent()
        request.mutations.extend(mutations)
        api = self._api
        try:
            done = api.commit(calls.CommitRequest.wrap(request), retry=None, timeout=self._limit)
        except (*_CONFLICTS, *_BUSY) as error:
            raise ConflictError(error.message) from error
        except _UNKNOWN as error:
            silence.DATASTORE.note(error)
            if isinstance(error, exceptions.DeadlineExceeded):
                self._reconnect(api)
            raise UnknownOutcomeError(error.message) from None
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise self.refusal(error) from None
        if any(result.conflict_detected for result in calls.CommitResponse.pb(done).mutation_results):
            raise ConflictError("a record has changed")

    def query(self, query: Any) -> Iterator[tuple[Any, float]]:
        """Yield (result with entity and version, seconds since it was written) of all that a query finds.

        However many answers it comes in, all of it is as of one moment of the server's.
        """
        asked = Query()
        asked.CopyFrom(query)
        left = query.limit.value if query.HasField("limit") else None
        moment = None
        while left is None or left > 0:
            asked.limit.value = _PAGE if left is None else min(left, _PAGE)
            request = calls.RunQueryRequest.pb()(project_id=self.project, database_id=self.database, query=asked)
            request.partition_id.project_id = self.project
            request.partition_id.database_id = self.database
            request.partition_id.namespace_id = self.namespace
            if moment is not None:
                request.read_options.read_time.CopyFrom(moment)
            batch = calls.RunQueryResponse.pb(self._read("run_query", calls.RunQueryRequest.wrap(request))).batch
            for found in batch.entity_results:
                yield found, _between(found.update_time, batch.read_time)
            if batch.more_results == queries.QueryResultBatch.MoreResultsType.NO_MORE_RESULTS:
                return
            asked.start_cursor, moment = batch.end_cursor, batch.read_time
            left = None if left is None else left - len(batch.entity_results)

    def count(self, query: Any, *, most: int | None = None, moment: Any = None) -> tuple[int, Any]:
        """Return how many records a query finds, of up to `most`, at a `moment` of the server's, and that moment."""
        request = calls.RunAggregationQueryRequest.pb()(project_id=self.project, database_id=self.database)
        request.partition_id.project_id = self.project
        request.partition_id.database_id = self.database
        request.partition_id.namespace_id = self.namespace
        request.aggregation_query.nested_query.CopyFrom(query)
        counted = request.aggregation_query.aggregations.add()
        counted.count.SetInParent()
        counted.alias = "n"
        if most is not None:
            counted.count.up_to.value = most
        if moment is not None:
            request.read_options.read_time.CopyFrom(moment)
        wrapped = calls.RunAggregationQueryRequest.wrap(request)
        batch = calls.RunAggregationQueryResponse.pb(self._read("run_aggregation_query", wrapped)).batch
        (result,) = batch.aggregation_results
        return result.aggregate_properties["n"].integer_value, batch.read_time

    def _read(self, method: str, request: Any) -> Any:
        """Make a call that only reads: again as long as it may come to pass."""
        patience = Patience(self.patience)
        while (answer := self._try(method, request, patience)) is None:
            pass
        return answer

    def _try(self, method: str, request: Any, patience: Patience) -> Any:
        """Make a call; wait and return None if it may be made again."""
        api = self._api
        try:
            return getattr(api, method)(request, retry=None, timeout=self._limit)
        except (*_UNKNOWN, *_BUSY) as error:
            if isinstance(error, _UNKNOWN):
                silence.DATASTORE.note(error)
            if isinstance(error, exceptions.DeadlineExceeded):
                self._reconnect(api)
            patience.wait(error)
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise self.refusal(error) from None

    def refusal(self, error: Exception) -> BackendError:
        """Return what to tell people about an answer that will stay the same."""
        database = self.database or "(default)"
        what = f"Datastore, project {self.project}, database {database}"
        match error:
            case GoogleAuthError() | exceptions.Unauthenticated():
                return sign_in(what, _first_line(error))
            case exceptions.PermissionDenied():
                mend = (
                    "if the API is off: 'gcloud services enable datastore.googleapis.com "
                    f"--project={self.project}'; if you may not use it, somebody who may has to run 'gcloud projects "
                    f"add-iam-policy-binding {self.project} --member=user:YOU --role=roles/datastore.user'"
                )
            case exceptions.NotFound() | exceptions.FailedPrecondition():
                mend = (
                    f"make a database with 'gcloud firestore databases create --database={database} "
                    f"--type=datastore-mode --location=REGION --project={self.project}'"
                )
            case _:
                mend = "this looks like a defect of sparkles"
        return BackendError(f"{what}: {_first_line(error)}\n{mend}")


def prefixed(kind: str, field: str, start: str, end: str, *, limit: int | None = None) -> Any:
    """Return the query for records of a `kind` whose indexed `field` is from `start` to before `end`, in its order."""
    query = _of(kind, limit)
    for operator, bound in ((_AT_LEAST, start), (_BELOW, end)):
        one = _and(query)
        one.property.name, one.op, one.value.string_value = field, operator, bound
    query.order.add().property.name = field
    return query


def equal(kind: str, field: str, value: str, *, limit: int | None = None) -> Any:
    """Return the query for records of a `kind` whose indexed `field` is `value`."""
    query = _of(kind, limit)
    one = _and(query)
    one.property.name, one.op, one.value.string_value = field, _EQUAL, value
    return query


def everything(kind: str) -> Any:
    """Return the query for all records of a kind."""
    return _of(kind, None)


def keys_only(query: Any) -> Any:
    """Return the query, now for the keys alone, which costs next to nothing."""
    query.projection.add().property.name = "__key__"
    return query


def between_keys(store: Datastore, kind: str, start: str, end: str) -> Any:
    """Return the query for records of a `kind` whose names are from `start` to before `end`."""
    query = _of(kind, None)
    for operator, bound in ((_AT_LEAST, start), (_BELOW, end)):
        one = _and(query)
        one.property.name, one.op = "__key__", operator
        store.name(one.value.key_value, kind, bound)
    return query


_OPERATORS = queries.PropertyFilter.Operator
_AT_LEAST, _BELOW, _EQUAL = _OPERATORS.GREATER_THAN_OR_EQUAL, _OPERATORS.LESS_THAN, _OPERATORS.EQUAL


def _of(kind: str, limit: int | None) -> Any:
    query = Query()
    query.kind.add().name = kind
    if limit is not None:
        query.limit.value = limit
    return query


def _and(query: Any) -> Any:
    """Return a new condition that the records of a query must meet, too."""
    both = query.filter.composite_filter
    both.op = queries.CompositeFilter.Operator.AND
    return both.filters.add().property_filter


def _between(earlier: Any, later: Any) -> float:
    """Return the seconds between two times of the server."""
    seconds: float = later.seconds - earlier.seconds + (later.nanos - earlier.nanos) / 1e9
    return seconds


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return next(iter(str(text).splitlines()), type(error).__name__)
