"""A live terminal, on paper: what is written to it, and when."""

from __future__ import annotations

import io
import logging
import os
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from sparkles.cli import area, live, transfer
from sparkles.cli.area import Area, Row
from sparkles.model import TaskState
from sparkles.ports.objects import Moved
from sparkles.screen import Paper
from sparkles.sight import Sight

WARNINGS = logging.getLogger("sparkles")

SIGHT = Sight(job="fit", counts={TaskState.PENDING: 1})


class Terminal(io.StringIO):
    """A stream that says it is a terminal of some size."""

    encoding = "utf-8"
    size = os.terminal_size((80, 24))

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return -1

    def taken(self) -> str:
        """Return what was written since this was asked last."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(area.os, "get_terminal_size", lambda _: terminal.size)
    monkeypatch.setenv("TERM", "xterm")
    for module in (live, transfer):
        monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=terminal, stderr=terminal))
    known = list(WARNINGS.handlers)
    yield terminal
    for handler in set(WARNINGS.handlers).difference(known):  # of areas that a test left open
        WARNINGS.removeHandler(handler)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    monkeypatch.setattr(transfer, "time", clock)
    return clock


def rows(*cells):
    return [Row("x" * number, number) for number in cells]


# The area


def test_an_area_is_replaced_by_what_comes_after_it(terminal):
    below = Area(terminal)
    below.draw(["one"], rows(3, 2))
    first = terminal.taken()
    below.draw(["two"], rows(1))
    second = terminal.taken()
    below.close()

    assert first == "one\n\x1b[?7lxxx\nxx\x1b[?7h"
    assert second == "\r\x1b[1A\x1b[Jtwo\n\x1b[?7lx\x1b[?7h"
    assert terminal.taken() == "\r\x1b[J"


def test_an_area_that_a_narrower_terminal_has_wrapped_is_removed_whole(terminal):
    below = Area(terminal)
    below.draw([], rows(78, 10, 0))
    terminal.taken()
    terminal.size = os.terminal_size((30, 24))
    below.close()

    assert terminal.taken() == "\r\x1b[4A\x1b[J"


def test_after_a_stop_the_area_begins_where_the_cursor_is(terminal):
    below = Area(terminal)
    below.draw([], rows(3, 2))
    terminal.taken()
    os.kill(os.getpid(), area.signal.SIGCONT)
    below.draw([], rows(1))
    below.close()

    assert terminal.taken().startswith("\x1b[?7lx")


@pytest.mark.parametrize(
    ("locale", "encoding", "unicode"),
    [("UTF-8", "utf-8", True), ("ANSI_X3.4-1968", "utf-8", False), ("UTF-8", "ascii", False)],
)
def test_unicode_is_shown_where_both_python_and_the_locale_say_so(terminal, monkeypatch, locale, encoding, unicode):
    monkeypatch.setattr(area.locale, "nl_langinfo", lambda _: locale)
    terminal.encoding = encoding

    assert Area(terminal).extent == (78, 24, unicode)


def test_a_terminal_that_does_not_know_its_size_is_taken_for_an_old_one(terminal):
    terminal.size = os.terminal_size((0, 0))

    assert Area(terminal).extent[:2] == (78, 24)


def test_a_warning_becomes_a_line_above_the_area_until_that_is_gone(terminal):
    below = Area(terminal)
    below.draw([], rows(3, 2))
    terminal.taken()

    logging.getLogger("sparkles.backends").warning("nobody %s", "answers\x1b[2J")
    above = terminal.taken()
    below.close()
    terminal.taken()
    logging.getLogger("sparkles.backends").warning("nobody answers")

    assert above == "\r\x1b[1A\x1b[Jnobody answers\n\x1b[?7lxxx\nxx\x1b[?7h"
    assert terminal.taken() == ""


# The screen


def test_a_live_screen_waits_a_moment_before_it_shows_an_area(terminal, clock):
    screen = live.LiveScreen(terminal)
    screen.show(lambda: SIGHT)
    clock.now += 0.4
    screen.show(lambda: SIGHT)
    screen.say("a line")

    assert (screen.is_live, terminal.taken()) == (False, "a line\n")

    clock.now += 0.2
    screen.show(lambda: SIGHT)

    assert screen.is_live
    assert "pending 1" in terminal.taken()


def a_live_screen(terminal, clock):
    screen = live.LiveScreen(terminal)
    screen.show(lambda: SIGHT)
    clock.now += 1
    screen.show(lambda: SIGHT)
    terminal.taken()
    return screen


def test_lines_are_printed_with_the_next_drawing_above_the_area(terminal, clock):
    screen = a_live_screen(terminal, clock)
    screen.say("a line")
    screen.show(lambda: pytest.fail("looked too soon"))
    before = terminal.taken()
    clock.now += 1
    screen.show(lambda: SIGHT)

    assert before == ""
    assert terminal.taken().startswith("\r\x1b[2A\x1b[Ja line\n\x1b[?7l\x1b[1mfit")


def test_many_lines_do_not_wait(terminal, clock):
    screen = a_live_screen(terminal, clock)
    for number in range(1200):
        screen.say(str(number))

    assert terminal.taken().count("\n") > 1000


def test_a_live_screen_that_is_closed_leaves_its_lines_and_no_area(terminal, clock):
    screen = a_live_screen(terminal, clock)
    screen.say("a line")
    screen.close()
    screen.say("another")

    assert terminal.taken() == "\r\x1b[2A\x1b[Ja line\nanother\n"


def test_a_live_screen_that_was_closed_is_there_again_with_the_next_sight(terminal, clock):
    screen = a_live_screen(terminal, clock)
    screen.close()
    terminal.taken()
    clock.now += 0.3
    screen.show(lambda: SIGHT)

    assert screen.is_live
    assert "fit" in terminal.taken()


def test_logs_are_printed_without_what_moves_the_cursor(terminal, clock, monkeypatch):
    monkeypatch.setattr(live, "stamped", lambda line: f"[21:29:46] {line}")
    screen = live.LiveScreen(terminal)
    screen.say_log("\x1b[2Jone\rtwo")

    assert terminal.taken() == "[21:29:46] two\n"


def test_in_the_background_there_is_no_area(terminal, clock, monkeypatch):
    screen = a_live_screen(terminal, clock)
    monkeypatch.setattr(live, "is_ours", lambda _: False)
    clock.now += 1
    screen.show(lambda: pytest.fail("looked in the background"))

    assert not screen.is_live
    assert terminal.taken() == "\r\x1b[2A\x1b[J"


@pytest.mark.parametrize("term", ["dumb", "unknown", "", None])
def test_a_terminal_that_can_do_nothing_is_as_good_as_paper(terminal, monkeypatch, term):
    monkeypatch.delenv("TERM") if term is None else monkeypatch.setenv("TERM", term)

    assert isinstance(live.screen(), Paper)


def test_a_pipe_is_no_terminal_whatever_stderr_is(terminal, monkeypatch):
    assert isinstance(live.screen(), live.LiveScreen)
    monkeypatch.setattr(terminal, "isatty", lambda: False)

    assert isinstance(live.screen(), Paper)


# Uploads


def test_an_upload_that_takes_a_moment_is_shown_and_then_removed(terminal, clock):
    with transfer.Transfer("uploading", files=3, size=30_000_000) as upload:
        upload.add(Moved(10_000_000, 1))
        before = terminal.taken()
        clock.now += 3
        upload.add(Moved(6_000_000, 0))
        clock.now += 1
        upload.add(Moved(4_000_000, 1))
        during = terminal.taken()
        upload.add(Moved(10_000_000, 1))
        upload.close()

    assert before == ""
    assert "16.0 MB of 30.0 MB  1 of 3 files" in during
    assert "20.0 MB of 30.0 MB  2 of 3 files" in during
    assert terminal.taken() == "\r\x1b[J"


def test_a_long_upload_is_shown_at_once_and_removed_whatever_happens(terminal, clock):
    def upload():
        with transfer.Transfer("uploading", files=1, size=10**9):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload()

    first, _, rest = terminal.taken().partition("\x1b[?7h")
    assert "0 bytes of 1.0 GB  0 of 1 file" in first
    assert rest == "\r\x1b[J"


def test_an_upload_of_nothing_is_not_shown(terminal, clock):
    with transfer.Transfer("uploading", files=0, size=0) as upload:
        clock.now += 9
        upload.close()

    assert terminal.taken() == ""


def test_without_a_terminal_one_line_says_what_takes_so_long(monkeypatch, clock, capsys):
    monkeypatch.setattr(transfer, "time", clock)
    with transfer.Transfer("fetching image r-base") as fetch:
        fetch.at(0, 300)
        before = capsys.readouterr()
        clock.now += 1
        fetch.at(100, 300)
        clock.now += 1
        fetch.at(300, 300)

    assert before == ("", "")
    assert capsys.readouterr() == ("", "fetching image r-base …\n")
