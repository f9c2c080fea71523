"""Clients of Compute Engine: Google's own. To load them takes a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from google.auth.compute_engine import Credentials
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1

from sparkles.backends.gcp.storage.client import require_google

_Client = TypeVar("_Client")

#: The variable that names a stand-in, such as http://127.0.0.1:8123.
EMULATOR = "COMPUTE_EMULATOR_HOST"


class ComputeClients:
    """Makes each client once. On a node they have the credentials of its machine, whatever else there is."""

    def __init__(self, *, on_node: bool = False) -> None:
        self._on_node = on_node

    @cached_property
    def groups(self) -> compute_v1.RegionInstanceGroupManagersClient:
        """The client for groups of VMs."""
        return self._made(compute_v1.RegionInstanceGroupManagersClient)

    @cached_property
    def templates(self) -> compute_v1.RegionInstanceTemplatesClient:
        """The client for what VMs are made from."""
        return self._made(compute_v1.RegionInstanceTemplatesClient)

    @cached_property
    def operations(self) -> compute_v1.RegionOperationsClient:
        """The client for what takes a while. The library's own way to wait forgets where it was sent."""
        return self._made(compute_v1.RegionOperationsClient)

    @cached_property
    def regions(self) -> compute_v1.RegionsClient:
        """The client for regions."""
        return self._made(compute_v1.RegionsClient)

    @cached_property
    def types(self) -> compute_v1.MachineTypesClient:
        """The client for machine types."""
        return self._made(compute_v1.MachineTypesClient)

    @cached_property
    def accelerators(self) -> compute_v1.AcceleratorTypesClient:
        """The client for models of GPUs."""
        return self._made(compute_v1.AcceleratorTypesClient)

    def _made(self, kind: Callable[..., _Client]) -> _Client:
        client = kind(**self._options)
        if EMULATOR not in os.environ:
            require_google(f"https://{client.api_endpoint}")  # type: ignore[attr-defined] # all of them have it
        return client

    @cached_property
    def _options(self) -> dict[str, Any]:
        endpoint = os.environ.get(EMULATOR)
        options: dict[str, Any] = {"client_options": {"api_endpoint": endpoint}} if endpoint else {}
        if self._on_node:
            return {**options, "credentials": Credentials()}  # type: ignore[no-untyped-call]
        anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return {**options, "credentials": anonymous} if endpoint else options
