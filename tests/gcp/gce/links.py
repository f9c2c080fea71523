"""How Google names what it has: links such as `…/projects/p/zones/z/instances/i`, and what may stand for them."""

from __future__ import annotations

import re

_BASE = "https://www.googleapis.com/compute/v1/"
_INSTANCE = re.compile(r"(?:.*/)?zones/([^/]+)/instances/([^/]+)")


def link(path: str) -> str:
    """Return the link of what stands at `projects/…`."""
    return _BASE + path


def path_of(link_or_path: str) -> str:
    """Return the `projects/…` part of a link.

    >>> path_of("https://compute.googleapis.com/compute/v1/projects/p/zones/z")
    'projects/p/zones/z'
    """
    return link_or_path[link_or_path.find("projects/") :] if "projects/" in link_or_path else link_or_path


def last(link_or_name: str) -> str:
    """Return the name at the end of a link.

    >>> last("projects/p/zones/us-central1-a"), last("us-central1-a")
    ('us-central1-a', 'us-central1-a')
    """
    return link_or_name.rpartition("/")[2]


def region_of(zone: str) -> str:
    """Return the region of a zone.

    >>> region_of("us-central1-a")
    'us-central1'
    """
    return zone.rpartition("-")[0]


def instance_of(named: str) -> tuple[str, str] | None:
    """Return zone and name of an instance that is named by a link or a part of one. None if it is no such thing.

    >>> instance_of("zones/z/instances/i"), instance_of("i")
    (('z', 'i'), None)
    """
    found = _INSTANCE.fullmatch(named)
    return (found[1], found[2]) if found else None
