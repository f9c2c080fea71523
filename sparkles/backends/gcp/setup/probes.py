"""Probes: something is written, read and removed again, where jobs will write."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

from sparkles.backends.gcp.backend import namespace_of
from sparkles.backends.gcp.datastore import ConflictError, Datastore, Mutation, UnknownOutcomeError
from sparkles.backends.gcp.storage.bucket import Bucket
from sparkles.backends.gcp.storage.client import storage_client
from sparkles.config import Gcp
from sparkles.errors import BackendError
from sparkles.paths import Layout

#: Seconds in which a store has to answer.
_PATIENCE = 10.0

#: The kind of the records.
_KIND = "Probe"

_CONTENT = b"sparkles validate was here\n"


def bucket(gcp: Gcp) -> str:
    """Write an object, read it, list and remove it. Raises BackendError if any of that fails."""
    name, _, prefix = (gcp.bucket or "").partition("/")
    there = Bucket(storage_client(gcp.project), name, patience=_PATIENCE)
    probes = Layout(Path(prefix)).probes
    written = there.write(f"{probes}/{secrets.token_hex(8)}", _CONTENT)
    try:
        found = there.read_at(written.name, generation=written.generation)
        listed = [each.name for each in there.below(f"{probes}/")]
    finally:
        there.delete(written.name, written.generation)
    if found != _CONTENT or written.name not in listed:
        raise BackendError(f"gs://{name} does not give back what was written to it")
    return f"gs://{gcp.bucket} written, read, listed, removed"


def datastore(gcp: Gcp) -> str:
    """Write a record, read and remove it. Raises BackendError if any of that fails."""
    store = Datastore(
        project=gcp.project or "", database=gcp.database, namespace=namespace_of(gcp.bucket or ""), patience=_PATIENCE
    )
    name = secrets.token_hex(8)
    with closing(store):
        try:
            store.commit([_insertion(store, name)])
            found = list(store.lookup([(_KIND, name)]))
            store.commit([_deletion(store, name)])
        except ConflictError as error:
            raise BackendError(
                f"Datastore, project {gcp.project}, database {gcp.database}: {error}; if there is no such database, "
                "'sparkles setup' makes it"
            ) from None
        except UnknownOutcomeError as error:
            raise BackendError(f"Datastore does not answer: {error}; try again") from None
    if not found:
        raise BackendError("Datastore does not give back what was written to it")
    return "a record written, read, removed"


def _insertion(store: Datastore, name: str) -> object:
    mutation = Mutation()
    store.name(mutation.insert.key, _KIND, name)
    return mutation


def _deletion(store: Datastore, name: str) -> object:
    mutation = Mutation()
    store.name(mutation.delete, _KIND, name)
    return mutation
