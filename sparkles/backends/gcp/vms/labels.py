"""Labels: what is written on VMs, so that people find them in bills and lists. Google takes only certain signs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkles.errors import RequestError

#: The signs that a label may have at most, in its key and in its value.
_LONG = 63

#: The most labels of a VM, with ours.
_MANY = 64

#: The keys of ours.
OURS = ("sparkles", "sparkles-job", "sparkles-cluster")


def safe_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a job's labels as VMs can have them. Raises RequestError for those that they cannot.

    >>> safe_labels({"Project": "DepMap 2026"})
    {'project': 'depmap_2026'}
    """
    safe: dict[str, str] = {}
    for key, value in labels.items():
        name = safe_value(key)
        if not re.match("[a-z]", name):
            raise RequestError(f"metadata.labels: {key!r}: labels of VMs begin with a letter, one of a-z")
        if name in OURS:
            raise RequestError(f"metadata.labels: {key!r}: sparkles writes this label itself; choose another name")
        if name in safe:
            raise RequestError(f"metadata.labels: {key!r}: as a label of VMs it is {name!r}, and so is another one")
        safe[name] = safe_value(value)
    if len(safe) > _MANY - len(OURS):
        raise RequestError(f"metadata.labels: a VM can have {_MANY - len(OURS)} at most, and there are {len(safe)}")
    return safe


def our_labels(job: str, cluster: str) -> dict[str, str]:
    """Return the labels by which sparkles, and whoever pays, knows a VM."""
    return dict(zip(OURS, ("node", safe_value(job), cluster), strict=True))


def safe_value(text: str) -> str:
    """Return a text as the value of a label.

    >>> safe_value("Lambda.Sweep")
    'lambda_sweep'
    """
    return re.sub("[^a-z0-9_-]", "_", text.lower())[:_LONG]
