"""Sharing: which process runs which tests where several share them, as `pytest -n 2` has it (pytest-xdist).

One process runs all of a module, since most of a module's tests need the same services. What takes long begins first,
or all would wait for it in the end.
"""

from __future__ import annotations

from typing import Any

import pytest

#: Folders and modules that one process runs, all of them: the VMs and containers of two tests at once would be too much
#: for a machine, or in each other's way.
_MACHINES = (
    "tests/backends/docker/",
    "tests/backends/gcp/vms/test_node.py",
    "tests/cli/test_in_boxes.py",
    "tests/cli/test_on_bad_days.py",
    "tests/cli/test_on_vms.py",
    "tests/gcp/gce/test_boxes.py",
    "tests/gcp/gce/test_ground.py",
)


def scope_of(test: str) -> str:
    """Return what a test is a part of that one process runs.

    >>> scope_of("tests/test_names.py::test_a[1]"), scope_of("tests/backends/docker/test_images.py::test_b")
    ('tests/test_names.py', 'machines')
    """
    module = test.partition("::")[0]
    return "machines" if module.startswith(_MACHINES) else module


def is_first(test: str) -> bool:
    """Say whether a test is of what takes longest."""
    return scope_of(test) == "machines"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the processes whole scopes. The groups of pytest-xdist 3.8 do nothing with pytest 9.2, without a word."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    config.option.loadscopereorder = False  # by the number of tests
    return ByScope(config, log)
