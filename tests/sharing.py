"""Sharing: which process runs which tests where several share them, as `pytest -n 3` has it (pytest-xdist).

One process runs all of a module, since most of a module's tests need the same services. What takes long begins first,
or all would wait for it in the end.
"""

from __future__ import annotations

from typing import Any

import pytest

#: Folders and modules of which only one process may run tests: they have the same part of the docker engine.
_ALONE = {
    "tests/cli/test_in_boxes.py": "VMs that are containers",
    "tests/gcp/gce/test_boxes.py": "VMs that are containers",
    "tests/gcp/gce/test_ground.py": "VMs that are containers",
    "tests/backends/docker/": "containers",
    "tests/backends/gcp/vms/test_node.py": "containers",
}

#: Modules whose tests take long, and need no other one beside them: each may be run by another process.
_APART = (
    "tests/cli/test_on_vms.py",
    "tests/cli/test_on_bad_days.py",
    "tests/backends/gcp/test_bad_network.py",
)


def scope_of(test: str) -> str:
    """Return what a test is a part of that one process runs.

    >>> scope_of("tests/test_names.py::test_a[1]"), scope_of("tests/backends/docker/test_images.py::test_b")
    ('tests/test_names.py', 'containers')
    """
    module = test.partition("::")[0]
    alone = (scope for place, scope in _ALONE.items() if module.startswith(place))
    return next(alone, test if module in _APART else module)


def turn(test: str) -> int:
    """Return when a test's turn is: the lowest numbers come first."""
    scope = scope_of(test)
    return 0 if scope in _ALONE.values() else 1 if scope == test else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the processes whole scopes. The groups of pytest-xdist 3.8 do nothing with pytest 9.2, without a word."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    config.option.loadscopereorder = False  # by the number of tests
    return ByScope(config, log)
