"""`docker` in a VM that is a tree of processes: what is to run in a container runs on this machine's Python instead.

A program of its own, like `first_process`. `docker run` of a worker image runs the same command line with the same
variables. Pulls succeed unless a test says otherwise; from a registry of this machine they are real, for the tasks.
What would need a real container it refuses, and never pretends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from first_process import adopt_orphans, descendants, kill_descendants, signal_all

#: Options of `run` that are followed by a value. All others stand alone.
_WITH_VALUE = frozenset(
    """-e --env --env-file -v --volume --mount --name --network --net --pid --ipc -w --workdir -u --user --entrypoint
    -l --label -m --memory --cpus --oom-score-adj --restart --log-driver --log-opt --cap-add --cap-drop
    --device --gpus
    --security-opt --tmpfs --ulimit --pull --hostname -h --add-host --runtime --cgroupns --stop-timeout --shm-size
    --userns --cgroup-parent --platform""".split()  # noqa: SIM905 - read as one types them
)

#: What the names of images in a registry of this machine begin with: tasks run in these, in its own engine.
_LOCAL = ("127.0.0.1:", "localhost:")

_ENGINE = shutil.which("docker", path=os.environ["PATH"].partition(":")[2]) or "docker"
_FOLDER = Path(os.environ["VM_FOLDER"])
_CONTAINERS = _FOLDER / "containers"


class Refusal(Exception):  # noqa: N818 - of a stand-in
    """What docker would say, and its exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def _run(words: list[str]) -> int:
    options, image, command = _parsed(words)
    _pull([image])
    _check_volumes(_values(options, "-v", "--volume"))
    kept = _room(options)
    detached = any(name in ("-d", "--detach") for name, _ in options)
    if detached and os.fork():
        print(kept.name)
        return 0
    argv = [*_values(options, "--entrypoint"), *command]
    folder = next(iter(_values(options, "-w", "--workdir")), str(_FOLDER))
    return _contain(argv, env=_environment(options), folder=folder, kept=kept, detached=detached)


def _room(options: list[tuple[str, str]]) -> Path:
    """Return the folder of a new container."""
    name = next(iter(_values(options, "--name")), f"c{os.getpid()}")
    if _lives(_CONTAINERS / name):
        raise Refusal(f'Error response from daemon: Conflict. The container name "/{name}" is already in use', 125)
    (_CONTAINERS / name).mkdir(parents=True, exist_ok=True)
    return _CONTAINERS / name


def _values(options: list[tuple[str, str]], *names: str) -> list[str]:
    return [value for name, value in options if name in names]


def _contain(argv: list[str], *, env: dict[str, str], folder: str, kept: Path, detached: bool) -> int:
    """Run a command as a container does: when it ends, whatever it started ends, too."""
    adopt_orphans()
    output = (kept / "log").open("wb") if detached else None
    (kept / "pid").write_text(str(os.getpid()))
    (kept / "exit").unlink(missing_ok=True)
    os.makedirs(folder, exist_ok=True)
    program = subprocess.Popen(argv, env=env, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: program.send_signal(number))
    code = program.wait()
    kill_descendants()
    code = code if code >= 0 else 128 - code
    (kept / "exit").write_text(str(code))
    return code


def _parsed(words: list[str]) -> tuple[list[tuple[str, str]], str, list[str]]:
    options = []
    while words and words[0].startswith("-"):
        word, *words = words
        name, sign, value = word.partition("=")
        if not sign and name in _WITH_VALUE:
            value, *words = words
        options.append((name, value))
    if not words:
        raise Refusal('"docker run" requires at least 1 argument.', 125)
    return options, words[0], words[1:]


def _environment(options: list[tuple[str, str]]) -> dict[str, str]:
    """Return a container's variables: its image's, those it is given, and where the metadata server is."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    env = {"PATH": path, "HOME": str(_FOLDER / "root"), "VM_FOLDER": str(_FOLDER), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("GCE_METADATA_")}
    for name, value in options:
        if name == "--env-file":
            for line in Path(value).read_text().splitlines():
                env.update({} if line.startswith("#") or not line else _variable(line))
        if name in ("-e", "--env"):
            env.update(_variable(value))
    return env


def _variable(said: str) -> dict[str, str]:
    """Return a variable with its value; without one it is that of the caller, if the caller has it."""
    name, sign, value = said.partition("=")
    if not sign and name not in os.environ:
        return {}
    return {name: value if sign else os.environ[name]}


def _check_volumes(volumes: list[str]) -> None:
    for volume in volumes:
        outside, inside = volume.split(":")[:2]
        if outside != inside:
            raise Refusal(f"docker: the volume {volume} is not simulated: both sides must have one path", 125)


def _pull(words: list[str]) -> int:
    image = [word for word in words if not word.startswith("-")][-1]
    missing = _FOLDER.parent / "missing-images"
    if missing.exists() and image in missing.read_text().splitlines():
        raise Refusal(f"Error response from daemon: manifest for {image} not found: manifest unknown: manifest unknown")
    if image.startswith(_LOCAL):
        return subprocess.run([_ENGINE, "pull", *words], check=False).returncode
    return 0


def _login(words: list[str]) -> int:
    if "--password-stdin" in words:
        sys.stdin.read()
    print("Login Succeeded")
    return 0


def _end(words: list[str], number: signal.Signals) -> int:
    for name in _names(words):
        kept = _CONTAINERS / name
        if not kept.exists():
            raise Refusal(f"Error response from daemon: No such container: {name}")
        if _lives(kept):
            pid = int((kept / "pid").read_text())
            signal_all([pid] if number is signal.SIGTERM else descendants(pid), number)
            _await(kept)
        print(name)
    return 0


def _remove(words: list[str]) -> int:
    for name in _names(words):
        kept = _CONTAINERS / name
        if _lives(kept) and "-f" in words:
            signal_all(descendants(int((kept / "pid").read_text())), signal.SIGKILL)
            _await(kept)
        shutil.rmtree(kept, ignore_errors=True)
        print(name)
    return 0


def _wait(words: list[str]) -> int:
    for name in _names(words):
        _await(_CONTAINERS / name)
        print((_CONTAINERS / name / "exit").read_text())
    return 0


def _await(kept: Path) -> None:
    while _lives(kept):
        time.sleep(0.02)


def _ps(words: list[str]) -> int:
    names = [kept.name for kept in _CONTAINERS.glob("*") if _lives(kept) or "-a" in words]
    print(*names, sep="\n") if names else None
    return 0


def _logs(words: list[str]) -> int:
    (name,) = _names(words)
    sys.stdout.write((_CONTAINERS / name / "log").read_text(errors="replace"))
    return 0


def _inspect(words: list[str]) -> int:
    """Say which process a container is, and nothing else of it. A startup script asks until it knows."""
    if words[:2] != ["--format", "{{.State.Pid}}"]:
        raise Refusal(f"docker: inspect {' '.join(words)} is not simulated")
    for name in words[2:]:
        kept = _CONTAINERS / name
        if not kept.exists():
            raise Refusal(f"Error response from daemon: No such object: {name}")
        print((kept / "pid").read_text() if _lives(kept) else 0)
    return 0


def _names(words: list[str]) -> list[str]:
    """Return the names of containers; of the options those of `stop` have a number."""
    return [word for place, word in enumerate(words) if not word.startswith("-") and words[place - 1 : place] != ["-t"]]


def _lives(kept: Path) -> bool:
    pid = kept / "pid"
    return pid.exists() and not (kept / "exit").exists() and Path("/proc", pid.read_text()).exists()


def _require_engine() -> None:
    if (_FOLDER.parent / "no-engine").exists():
        raise Refusal("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?", 125)


def _nothing(words: list[str]) -> int:
    return 0


_WORDS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "pull": _pull,
    "login": _login,
    "logout": _nothing,
    "info": _nothing,
    "version": _nothing,
    "stop": lambda words: _end(words, signal.SIGTERM),
    "kill": lambda words: _end(words, signal.SIGKILL),
    "rm": _remove,
    "wait": _wait,
    "ps": _ps,
    "logs": _logs,
    "inspect": _inspect,
    "image": _nothing,
    "images": _nothing,
}


def main(words: list[str]) -> int:
    """Do what a command line of docker says."""
    while len(words) > 1 and words[0].startswith("--"):  # options of all commands
        words = words[1:] if "=" in words[0] else words[2:]
    if not words or words[0] not in _WORDS:
        print(f"docker: {' '.join(words[:1])} is not simulated", file=sys.stderr)
        return 1
    try:
        _require_engine()
        return _WORDS[words[0]](words[1:])
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
