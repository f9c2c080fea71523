"""Clients of Compute Engine: Google's own, loaded when the first of them is used, which takes a second."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud import compute_v1

#: The variable that names a stand-in, such as http://127.0.0.1:8123.
EMULATOR = "COMPUTE_EMULATOR_HOST"


class ComputeClients:
    """Makes each client once. On a node they have the credentials of its machine, whatever else there is."""

    def __init__(self, *, on_node: bool = False) -> None:
        self._on_node = on_node

    @cached_property
    def groups(self) -> compute_v1.RegionInstanceGroupManagersClient:
        """The client for groups of VMs."""
        return self._made("RegionInstanceGroupManagersClient")

    @cached_property
    def templates(self) -> compute_v1.RegionInstanceTemplatesClient:
        """The client for what VMs are made from."""
        return self._made("RegionInstanceTemplatesClient")

    @cached_property
    def operations(self) -> compute_v1.RegionOperationsClient:
        """The client for what takes a while. The library's own way to wait forgets where it was sent."""
        return self._made("RegionOperationsClient")

    @cached_property
    def regions(self) -> compute_v1.RegionsClient:
        """The client for regions."""
        return self._made("RegionsClient")

    @cached_property
    def types(self) -> compute_v1.MachineTypesClient:
        """The client for machine types."""
        return self._made("MachineTypesClient")

    @cached_property
    def accelerators(self) -> compute_v1.AcceleratorTypesClient:
        """The client for models of GPUs."""
        return self._made("AcceleratorTypesClient")

    def _made(self, name: str) -> Any:
        from google.cloud import compute_v1

        client = getattr(compute_v1, name)(**self._options)
        if EMULATOR not in os.environ:
            from sparkles.backends.gcp.client import require_google

            require_google(f"https://{client.api_endpoint}")
        return client

    @cached_property
    def _options(self) -> dict[str, Any]:
        from google.auth.compute_engine import Credentials
        from google.auth.credentials import AnonymousCredentials

        endpoint = os.environ.get(EMULATOR)
        options: dict[str, Any] = {"client_options": {"api_endpoint": endpoint}} if endpoint else {}
        if self._on_node:
            return {**options, "credentials": Credentials()}
        return {**options, "credentials": AnonymousCredentials()} if endpoint else options
