"""Paths: the only place that names files and objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Files that sparkles itself writes into a task's result folder.
LOG_NAME = "stdout.txt"
RESULT_NAME = "result.json"

#: What the names of files begin with that are on their way into a folder of the user's.
PARTIAL = ".sparkles-"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are below the prefix of an object store."""

    root: Path

    def result(self, job: str, index: int) -> Path:
        """Return the result folder of a task."""
        return self.root / f"{job}/{index}"

    def results(self, job: str) -> Path:
        """Return the folder of all results of a job."""
        return self.root / job

    @property
    def blobs(self) -> Path:
        """Return the folder of all blobs."""
        return self.root / ".sparkles" / "cas"

    def blob(self, digest: str) -> Path:
        """Return the place of a blob by its sha256 in hex."""
        return self.blobs / digest

    @property
    def all_records(self) -> Path:
        """Return the folder of what sparkles keeps for itself about jobs."""
        return self.root / ".sparkles" / "jobs"

    def records(self, job: str) -> Path:
        """Return the folder of what sparkles keeps for itself about a job."""
        return self.root / f".sparkles/jobs/{job}"

    def manifest(self, job: str, generation: int) -> Path:
        """Return the place of a pinned manifest."""
        return self.records(job) / f"{generation}.yaml"

    def log(self, job: str, index: int, claim: str) -> Path:
        """Return the log of an attempt: one chunk that grows. No folder of its own, since making one costs more."""
        return self.root / f".sparkles/jobs/{job}/logs/{index}.{claim}"

    def log_chunks(self, job: str, index: int, claim: str) -> Path:
        """Return the folder of an attempt's log where files cannot grow: a chunk for each piece of it."""
        return self.root / f".sparkles/jobs/{job}/logs/{index}/{claim}"

    def log_chunk(self, job: str, index: int, claim: str, start: int, end: int | None = None) -> Path:
        """Return a chunk of a log by its first byte; with an `end` one that has taken the place of those up to there.

        Names are sorted by first bytes.
        """
        name = f"{start:015d}" if end is None else f"{start:015d}.{end:015d}"
        return self.log_chunks(job, index, claim) / name

    def published(self, job: str, index: int, claim: str) -> Path:
        """Return the folder of a result that is complete but not yet the task's."""
        return self.root / f".sparkles/jobs/{job}/published/{index}.{claim}"

    @property
    def all_boot_logs(self) -> Path:
        """Return the folder of what VMs of all clusters wrote that could not start, or not go on."""
        return self.root / ".sparkles" / "nodes"

    def boot_logs(self, cluster: str) -> Path:
        """Return the folder of what the VMs of a cluster wrote that could not start, or not go on."""
        return self.root / f".sparkles/nodes/{cluster}"

    def boot_log(self, cluster: str, instance: str) -> Path:
        """Return what one of them wrote."""
        return self.boot_logs(cluster) / f"{instance}.log"

    @property
    def probes(self) -> Path:
        """Return the folder of what is written only to see whether it can be."""
        return self.root / ".sparkles" / "probes"

    @property
    def trash(self) -> Path:
        """Return the folder that things are moved to before they are removed."""
        return self.root / ".sparkles" / "trash"


@dataclass(frozen=True, slots=True)
class Home:
    """Where things are below SPARKLES_HOME."""

    root: Path

    @property
    def state(self) -> Path:
        """Return the state database."""
        return self.root / "state.db"

    @property
    def objects(self) -> Path:
        """Return the folder that stands for the bucket."""
        return self.root / "objects"

    @property
    def hashes(self) -> Path:
        """Return the cache of the hashes of uploaded files."""
        return self.root / "hashes.db"

    @property
    def nodes(self) -> Path:
        """Return the folder of all nodes."""
        return self.root / "nodes"

    def node(self, name: str) -> Path:
        """Return the folder of a node: `lock`, `wake`, `session`, `running/`, `containers/`, `log`."""
        return self.nodes / name

    def work(self, node: str) -> Path:
        """Return the folder of a node's work directories, one an attempt."""
        return self.root / "work" / node

    @property
    def pins(self) -> Path:
        """Return the file of what the names of images meant."""
        return self.root / "pins.json"

    @property
    def known(self) -> Path:
        """Return the cache of what is known to be stored in buckets."""
        return self.root / "known.db"

    @property
    def wheels(self) -> Path:
        """Return the folder of the libraries that the worker program needs on VMs."""
        return self.root / "wheels"

    @property
    def machine(self) -> Path:
        """Return the file with the token that tells this home from all others."""
        return self.root / "machine"

    def spool(self, node: str) -> Path:
        """Return the folder of logs that a node has yet to bring into the bucket."""
        return self.root / "spool" / node

    def cache(self, node: str) -> Path:
        """Return the folder of content that a node has brought in from buckets."""
        return self.root / "cache" / node

    def environment(self, name: str) -> Path:
        """Return the file of a submitting shell's environment."""
        return self.root / "environments" / name


def is_inside(relative: str, *, itself: bool = False) -> bool:
    """Say whether a relative POSIX path stays in the folder that it starts from; it may be that `itself`, or not."""
    depth = 0
    for part in relative.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return not relative.startswith("/") and (depth > 0 or itself)
