"""The state in Datastore: the contract on Google's emulator, and what only Datastore shows."""

from __future__ import annotations

import os
from functools import partial

import pytest
from contracts.state import OpenStore, StateStoreContract

from sparkles.backends.gcp.datastore import Datastore
from sparkles.backends.gcp.state import DatastoreState


def open_state(namespace: str) -> DatastoreState:
    return DatastoreState(Datastore(project="test", database="(default)", namespace=namespace, patience=20.0))


class TestDatastoreState(StateStoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        return partial(open_state, os.urandom(4).hex())
