"""VMs, put together: compute on Compute Engine as the settings say, for a client or for the worker of a node."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sparkles import startup
from sparkles.backends.gcp.compute import GroupOf, VmCompute
from sparkles.backends.gcp.vms.boot_logs import BootLogs
from sparkles.backends.gcp.vms.machines import Delivery, Machines
from sparkles.config import Gcp
from sparkles.model import Cluster, Node
from sparkles.paths import Layout
from sparkles.resources import template_text
from sparkles.timing import Timing

if TYPE_CHECKING:
    from sparkles.backends.gcp.delivery.choice import Pinning
    from sparkles.backends.gcp.storage.bucket import Bucket
    from sparkles.backends.gcp.vms.groups import Groups


def vm_compute(
    gcp: Gcp,
    *,
    bucket: Callable[[], Bucket],
    delivery: Delivery,
    images: Pinning,
    timing: Timing,
    own: Node | None = None,
) -> VmCompute:
    """Return compute on VMs. A node says which one it is: `own`."""
    machines = Machines(gcp=gcp, delivery=delivery, images=images)

    def metadata(cluster: Cluster, group: GroupOf) -> Mapping[str, str]:
        script = template_text("startup.sh")
        return startup.attributes(cluster, gcp, group=group.name, script=script, environment=os.environ)

    return VmCompute(
        groups=_groups(gcp, on_node=own is not None),
        machine=machines.machine,
        supplies=(lambda _: {}) if own else delivery.files,  # what it needs, a node has had
        metadata=metadata,
        boot_logs=BootLogs(bucket, Layout(Path((gcp.bucket or "").partition("/")[2]))),
        timing=timing,
        own=own,
    )


def _groups(gcp: Gcp, *, on_node: bool) -> Callable[[str], Groups]:
    """Return what gives the calls about the groups of a region. Google's library is loaded when they are needed."""

    @cache
    def groups(region: str) -> Groups:
        from sparkles.backends.gcp.vms.clients import ComputeClients
        from sparkles.backends.gcp.vms.groups import Groups

        assert gcp.project
        return Groups(ComputeClients(on_node=on_node), project=gcp.project, region=region)

    return groups
