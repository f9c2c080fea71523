"""Which image the worker's name meant is remembered for a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sparkles.backends.gcp.delivery.pins import Pins
from sparkles.errors import BackendError

DAY = 86_400.0


@dataclass
class Registry:
    """Names mean something else each time; or nobody answers."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    is_away: bool = False

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        self.asked.append((name, architecture))
        if self.is_away:
            raise BackendError("the registry does not answer")
        return f"{name}@{len(self.asked)}"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def pins(registry: Registry, tmp_path: Path) -> Callable[..., Pins]:
    def at(now: float = 0.0, *, write: bool = True) -> Pins:
        return Pins(registry, tmp_path / "pins.json", write=write, now=lambda: now)  # type: ignore[arg-type]

    return at


def test_a_name_means_for_a_day_what_it_meant(pins, registry):
    first = pins(0.0).pin("python", architecture="amd64")

    assert pins(DAY - 1).pin("python", architecture="amd64") == first
    assert pins(DAY).pin("python", architecture="amd64") != first
    assert len(registry.asked) == 2


def test_each_kind_of_processor_has_its_own(pins, registry):
    amd, arm = (pins().pin("python", architecture=kind) for kind in ("amd64", "arm64"))

    assert amd != arm
    assert registry.asked == [("python", "amd64"), ("python", "arm64")]


def test_what_is_known_needs_no_registry(pins, registry):
    known = pins().pin("python")
    registry.is_away = True

    assert pins().pin("python") == known
    with pytest.raises(BackendError):
        pins().pin("other")


def test_a_plan_remembers_nothing(pins, registry, tmp_path):
    pins(write=False).pin("python")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"python None": 1}', '{"python None": ["x"]}', '{"python None": ["x", "y"]}']
)
def test_a_broken_memory_is_none(pins, tmp_path, content):
    (tmp_path / "pins.json").write_text(content)

    assert pins().pin("python") == "python@1"
    assert pins().pin("python") == "python@1"


def test_a_clock_that_was_ahead_is_not_believed(pins, registry):
    pins(10 * DAY).pin("python")

    assert pins(0.0).pin("python") == "python@2"
