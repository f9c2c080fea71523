"""What tasks of a VM may count on when they find buckets as folders; the program that shows them is played."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from contracts.nouns import a_machine

from sparkles.backends.gcp.vms import bucket_folders
from sparkles.backends.gcp.vms.bucket_folders import BucketFolder, BucketRuntime, folders_of
from sparkles.errors import LaunchError
from sparkles.machine import Mount
from sparkles.model import Sample
from sparkles.ports.runtime import Ending, Launch, Running


class Rclone:
    """The program that shows a bucket: notes what it is asked, and has so many files to send, one fewer each time."""

    def __init__(self, *queue: int | None) -> None:
        """`queue`: what is said to be unsent, one after the other and the last for ever; None for no answer."""
        self.asked: list[str] = []
        self._queue = list(queue or [0])

    def answer(self, path: str) -> object:
        self.asked.append(path)
        if path == "/vfs/forget":
            return {"forgotten": []}
        unsent = self._queue.pop(0) if len(self._queue) > 1 else self._queue[0]
        return None if unsent is None else {"diskCache": {"uploadsInProgress": unsent, "uploadsQueued": 0}}


@contextmanager
def served(rclone: Rclone) -> Iterator[int]:
    """Serve at a port of this machine; give it."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = rclone.answer(self.path)
            self.send_response(500 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Plain:
    """A runtime whose commands have ended at once; it is the command, too."""

    def __init__(self, exit_code: int = 0) -> None:
        self.launched: list[Launch] = []
        self.signals: list[int] = []
        self._exit = exit_code

    def start(self, launch: Launch) -> Running:
        self.launched.append(launch)
        return self

    def wait(self) -> Ending:
        return Ending(exit=self._exit, peak_memory=7)

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def sample(self) -> Sample | None:
        return None


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(claim="c", argv=["x"], env={}, folder=tmp_path, log=tmp_path / "log")


def started(port: int, launch: Launch, *, runtime: Plain, read_only: bool = False, patience: float = 30.0) -> Running:
    folder = BucketFolder(bucket="b", read_only=read_only, port=port)
    return BucketRuntime(runtime, [folder], patience=patience).start(launch)


def test_each_bucket_of_a_machine_is_a_folder_at_a_port_of_its_own() -> None:
    mounts = (Mount(bucket="a", path="/a"), Mount(bucket="b", path="/b", read_only=False))

    assert folders_of(a_machine(mounts=mounts)) == (
        BucketFolder(bucket="a", read_only=True, port=5572),
        BucketFolder(bucket="b", read_only=False, port=5573),
    )


def test_a_command_sees_a_bucket_as_it_is_when_it_begins(launch: Launch) -> None:
    rclone = Rclone()

    with served(rclone) as port:
        started(port, launch, runtime=Plain(), read_only=True).wait()

    assert rclone.asked == ["/vfs/forget"]


def test_a_command_has_ended_when_nothing_is_unsent_twice_in_a_row(launch: Launch) -> None:
    rclone = Rclone(0, 2, None, 1, 0, None, 0)

    with served(rclone) as port:
        ending = started(port, launch, runtime=Plain(3)).wait()

    assert ending == Ending(exit=3, peak_memory=7)
    assert rclone.asked == ["/vfs/forget", *["/vfs/stats"] * 7]


@pytest.mark.parametrize(("exit_code", "told"), [(0, 74), (3, 3)])
def test_a_command_whose_files_cannot_be_sent_has_failed(launch: Launch, exit_code: int, told: int) -> None:
    with served(Rclone(1)) as port:
        ending = started(port, launch, runtime=Plain(exit_code), patience=0.2).wait()

    assert ending.exit == told
    assert launch.log.read_text() == "sparkles: what was written into gs://b could not all be sent there\n"


def test_what_is_killed_is_not_waited_for(launch: Launch) -> None:
    runtime = Plain()

    with served(Rclone(1)) as port:
        running = started(port, launch, runtime=runtime, patience=600)
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGKILL)
        ending = running.wait()

    assert ending.exit == 74
    assert runtime.signals == [signal.SIGTERM, signal.SIGKILL]


def test_no_command_runs_where_a_bucket_is_not_shown_any_more(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_folders, "_PATIENCE", 0.2)
    runtime = Plain()
    with served(Rclone()) as port:
        pass

    with pytest.raises(LaunchError, match="gs://b is not shown as a folder any more: ") as error:
        started(port, launch, runtime=runtime)

    assert error.value.exit == 126
    assert runtime.launched == []
