"""Pace: how quickly something gets done of late, and how long the rest will take. Times are arguments."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds that count as of late; or longer, until so much has been done in them.
_RECENT, _ENOUGH = 60.0, 10

#: Seconds between two points that are kept; and those that must be seen before anything is said.
_GRAIN, _FIRST = 1.0, 2.0

#: A time, and how much had been done by then.
Point = tuple[float, int]


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done by when, as far as it still matters: some sixty points, however long it takes."""

    #: Oldest first; the first is what the others are measured from.
    points: tuple[Point, ...] = ()
    #: The last look.
    now: float = 0.0
    done: int = 0

    def at(self, now: float, done: int, *, running: bool = True) -> Pace:
        """Return the pace after one more look; what passes before anything is `running` does not count."""
        idle = not running and len(self.points) == 1 and done == self.done
        if not self.points or idle or done < self.done:  # less than before: some of it is done again
            return Pace(((now, done),), now, done)
        points = self.points
        if done > self.done:
            dense = len(points) > 1 and now - points[-2][0] < _GRAIN
            points = (*(points[:-1] if dense else points), (now, done))
        return Pace(_recent(points, now, done), now, done)

    @property
    def rate(self) -> float | None:
        """How much is done in a second; None as long as that cannot be told."""
        if not self.points or self.now - self.points[0][0] < _FIRST or self.done == self.points[0][1]:
            return None
        return (self.done - self.points[0][1]) / (self.now - self.points[0][0])

    def seconds(self, rest: int) -> float | None:
        """Return how long the rest takes at this pace; None as long as that cannot be told."""
        return None if self.rate is None else rest / self.rate


def _recent(points: tuple[Point, ...], now: float, done: int) -> tuple[Point, ...]:
    """Return the points from the last one on that lies far enough back, in time and in what was done since."""
    for number in range(len(points) - 1, 0, -1):
        if now - points[number][0] >= _RECENT and done - points[number][1] >= _ENOUGH:
            return points[number:]
    return points
