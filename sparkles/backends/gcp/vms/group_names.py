"""Group names: which groups of VMs a cluster has, and which of them is whose. Pure."""

from __future__ import annotations

from sparkles.model import Node

#: Ends the name of the group of standard machines that helps out a spot one.
_STANDARD = "-od"


def standard_group(cluster: str) -> str:
    """Return the name of the group of standard machines beside the spot ones of a cluster."""
    return cluster + _STANDARD


def is_standard(group: str) -> bool:
    """Say whether the VMs of a group are the standard ones beside spot ones."""
    return group.endswith(_STANDARD)


def group_of(node: Node) -> str:
    """Return the name of the group that a node's machine belongs to."""
    standard = standard_group(node.cluster)
    return standard if (node.instance or "").startswith(f"{standard}-") else node.cluster


def cluster_of_group(name: str) -> str:
    """Return the cluster that a group belongs to, by the group's name.

    >>> cluster_of_group("s-0123456789abcdef-od")
    's-0123456789abcdef'
    """
    return name.removesuffix(_STANDARD)
