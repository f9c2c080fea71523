"""Ports: the things that a backend provides. The docstrings are the contracts that tests/contracts checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sparkles.model import (
    Cluster,
    Job,
    Key,
    Node,
    Record,
    Records,
    Sample,
    Task,
    TaskColumns,
    TaskState,
    Writes,
)
from sparkles.timing import Timing

if TYPE_CHECKING:  # who only looks does without it
    from sparkles.machine import Machine
    from sparkles.spec import JobSpec

#: Decides, from the records as read, what to write. Pure: it may be called again after a conflict.
Move = Callable[[Records], Writes]


#: Bytes of a log that are read at once.
LOG_PIECE = 1 << 20


class StateStore(Protocol):
    """Jobs, tasks, nodes and clusters. Knows atomicity, no rules."""

    #: The most records that one `change` should name.
    commit_limit: int
    #: How many threads may use the store at the same time, and are worth it. Only with more than one does it keep
    #: fences (see `model.Fence`).
    streams: int
    #: The most bytes that the row of a task may take; None if there is no limit that anybody would meet.
    row_limit: int | None

    def read(self, keys: Sequence[Key]) -> Records:
        """Return the records that exist among `keys`."""
        ...

    def change(self, keys: Sequence[Key], move: Move) -> dict[Key, Record]:
        """Write `move(records)` in one atomic commit, or nothing.

        Reads `keys` and hands `move` those that exist. Everything that `move` puts or removes must be
        among `keys`, or new. If another writer came between, reads and calls `move` again, so `move` must
        be pure. What `move` raises leaves the store as it was. Returns the records put, with their versions.

        Only what is written is guarded: a move whose decision hangs on a record must put that one, too. Raises
        BackendError if it cannot be written; then it may have been, where the store is far away.
        """
        ...

    def pending(self, cluster: str, *, limit: int) -> Sequence[Task]:
        """Return up to `limit` pending tasks of `cluster`, in the order they should be tried."""
        ...

    def held(self, node: str) -> Sequence[Task]:
        """Return the tasks that `node` has claimed."""
        ...

    def is_open(self, job: str) -> bool:
        """Say whether any task of `job` is pending or claimed. One snapshot."""
        ...

    def count_open(self, job: str, *, most: int) -> int:
        """Return how many tasks of `job` are pending or claimed, counted up to `most`. One snapshot."""
        ...

    def open_indices(self, job: str) -> Sequence[int]:
        """Return the indices of the tasks of `job` that are pending or claimed. One snapshot."""
        ...

    def counts(
        self, job: str, *, states: Sequence[TaskState] = tuple(TaskState), most: int | None = None
    ) -> Mapping[TaskState, int]:
        """Return how many tasks of `job` are in each of `states`, as of one moment; states without tasks are left out.

        Of each it need not count more than `most`.
        """
        ...

    def columns(self, job: str) -> TaskColumns:
        """Return index, digest and state of all tasks of `job`."""
        ...

    def rows(self, job: str) -> Iterator[str]:
        """Yield the row of every task of `job`, by index."""
        ...

    def tasks(
        self, job: str, *, states: Sequence[TaskState] = (), passes: Callable[[str], bool] | None = None
    ) -> Iterator[Task]:
        """Yield the tasks of `job` by index: those in `states`, or in any, whose row `passes`, or all.

        Of those that do not pass no more than the row is read, where that is quicker.
        """
        ...

    def some(self, job: str, state: TaskState, *, limit: int, last: bool = False) -> Sequence[Task]:
        """Return up to `limit` tasks of `job` in `state`.

        Where the store keeps tasks in an order, they come in it; if `last`, from its end. Takes no longer if the job
        has a million tasks.
        """
        ...

    def jobs(self) -> Sequence[Job]:
        """Return all jobs, the one submitted last at the end."""
        ...

    def open_jobs(self, cluster: str | None = None) -> Sequence[Job]:
        """Return the jobs that are open, of one cluster or of all, the one submitted last at the end.

        Those that have ended cost nothing: it may be asked again and again.
        """
        ...

    def nodes(self, cluster: str | None = None, *, quiet: float = 0.0) -> Sequence[Node]:
        """Return the nodes that are not gone, of one cluster or of all.

        With `quiet`, those that have not been written for so many seconds are enough: where each record that is read
        costs, others are left out, by the clocks of those who wrote them.
        """
        ...

    def past_nodes(self) -> Sequence[Node]:
        """Return the nodes that are lost or gone, as far as their records are still there."""
        ...

    def clusters(self) -> Sequence[Cluster]:
        """Return all clusters."""
        ...

    def tick(self) -> object:
        """Return a value that differs from the last one if anybody may have written since. Cheap."""
        ...

    def close(self) -> None:
        """Give back what the store holds open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a task leaves: where it is now, and its name in the result folder."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All that one attempt publishes."""

    job: str
    index: int
    claim: str
    #: stdout and stderr together, complete.
    log: Path
    outputs: Sequence[Output]
    #: The content of result.json.
    document: Mapping[str, Any]
    #: An empty folder that nobody needs any more, for the store to have if it can use one.
    spare: Path | None = None


class Moved(NamedTuple):
    """What has come since the last time: bytes, and files that are complete."""

    size: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of the files of results that were wanted."""

    #: How many were copied, and their bytes.
    files: int = 0
    size: int = 0
    #: How many were there already.
    there: int = 0

    def __add__(self, other: Fetched) -> Fetched:
        """Add up."""
        return Fetched(files=self.files + other.files, size=self.size + other.size, there=self.there + other.there)


class ObjectStore(Protocol):
    """Blobs by hash, results in numbered folders, logs, manifests."""

    #: Calls that are worth having under way at once; more than one where they take long, since they go far.
    streams: int

    def url(self, job: str) -> str:
        """Return where the results of `job` are, for people."""
        ...

    def download_line(self, job: str) -> str:
        """Return the command that copies the results of `job` to a folder, DEST_DIR."""
        ...

    def missing(self, digests: Sequence[str]) -> set[str]:
        """Return those of the sha256 `digests` (hex) that the store does not hold."""
        ...

    def put_blobs(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """Store the content of files under their sha256, once and for good; several at once where that is quicker.

        Yields as bytes move, and at least about once a second, even if nothing moves. What was yielded adds up to all
        the files, and to no more than their bytes. Whoever stops iterating stops it.

        Raises BackendError if content does not have its hash: it changed while it was read. Under a hash there is
        nothing or the whole of the right content, at any moment.
        """
        ...

    def read_blob(self, digest: str) -> bytes:
        """Return the content of a small blob. Raises BackendError if the store does not hold it."""
        ...

    def stage(self, digest: str, destination: Path, *, executable: bool) -> None:
        """Make a private, writable copy of a blob at `destination`, whose folder exists."""
        ...

    def write_manifest(self, job: str, generation: int, text: str) -> None:
        """Keep the pinned manifest of one generation of a job."""
        ...

    def read_manifest(self, job: str, generation: int) -> str | None:
        """Return the pinned manifest of one generation of a job; None if it is not there (any more)."""
        ...

    def manifests(self) -> Iterator[str]:
        """Yield every manifest that is kept, of all jobs."""
        ...

    def open_log(self, job: str, index: int, claim: str) -> Path:
        """Return the file that the attempt's output is to be appended to."""
        ...

    def read_log(
        self, job: str, index: int, claim: str, *, start: int, limit: int = LOG_PIECE, whole: bool = False
    ) -> bytes:
        """Return up to `limit` bytes of the attempt's output from byte `start` on, as far as it has come in.

        `claim` is the attempt's, or the result generation of what it published. A negative `start` counts from the
        end of that; before the beginning there is nothing.
        Works while the task runs and after its result is published; empty if there is none (yet). With `whole` its
        result is known to be committed: then that is where it is looked for first, and there is no more of it if less
        than `limit` comes.
        """
        ...

    def log_size(self, job: str, index: int, claim: str) -> int:
        """Return how many bytes of the attempt's output have come in."""
        ...

    def complete_logs(self, *, patience: float) -> None:
        """Wait until the logs of attempts that were discarded here are where they stay, for so many seconds at most.

        To be called before what holds the files of `open_log` goes.
        """
        ...

    def publish(self, result: Result, *, holds: Callable[[], bool]) -> str:
        """Bring in a result; may move the files. Returns its result generation.

        It is the task's only once the task's record names its result generation, so to be committed after this. A
        store that can put a whole result into its place in one step leaves an older one as it is until `promote`; in
        one that cannot, the older one may be gone from now on.

        `holds` says whether this node's lease still holds. Without it nobody may write where others may be writing:
        raises BackendError, as for all else that keeps a result from being stored. Whoever still has the lease may
        try again, with the same result.
        """
        ...

    def promote(self, job: str, index: int, result_generation: str) -> None:
        """Make a published result the task's result folder, if it is not that yet. To be called after the commit.

        Removes what only an attempt that has not ended needs. Idempotent. Does nothing where that result is not there
        any more: a later one has replaced it.
        """
        ...

    def discard(self, job: str, index: int, claim: str) -> None:
        """Remove the result of an attempt that will not be committed, if it has published one. Its log stays.

        Another attempt's result stays as it is. It may take a while until all of that is done.
        """
        ...

    def unpromoted(self, job: str) -> Sequence[tuple[int, str]]:
        """Return (index, result generation) of the results that are not in their place until they are promoted."""
        ...

    def results(self, job: str) -> Sequence[int]:
        """Return the indices for which `job` has a result folder."""
        ...

    def jobs_with_results(self, prefix: str) -> Sequence[str]:
        """Return the names of the jobs that have result folders and are called something that begins so."""
        ...

    def read_result(self, job: str, index: int) -> tuple[str, dict[str, Any]] | None:
        """Return (result generation, content of result.json), or None without a whole result.

        It is the task's result only if the task's record names this generation. Of files it may say more than it was
        given: where they are, and what they hold.
        """
        ...

    def read_output(self, job: str, index: int, name: str) -> bytes:
        """Return the content of a small file of a result. Raises BackendError if it is not there."""
        ...

    def output_sha256(self, job: str, index: int, name: str) -> str:
        """Return the sha256 (hex) of a file of a result. Raises BackendError if it is not there."""
        ...

    def keep_output(self, job: str, index: int, name: str, digest: str) -> None:
        """Store a file of a result as the blob of this sha256.

        Raises BackendError if the content does not have that hash: the result has been replaced.
        """
        ...

    def fetch(
        self,
        job: str,
        index: int,
        place: Callable[[str], Path | None],
        *,
        moved: Callable[[Moved], None],
        result_generation: str | None = None,
    ) -> Fetched | None:
        """Copy the files of a result, each to the `place` of its name, if it has one; folders are made if need be.

        Returns None without a whole result of that generation, or of any if none is said, and if another one takes its
        place meanwhile. What is there already as it is in the result is not copied again. Each file appears whole or
        not at all, result.json last of them.

        Calls `moved`, perhaps from several threads, as bytes come and with each file that is there; what that raises
        ends it. Raises BackendError for content that came damaged.
        """
        ...

    def remove_results(self, job: str, indices: Sequence[int] | None = None) -> None:
        """Remove the result folders of these tasks, or of all."""
        ...

    def remove_records(self, job: str) -> None:
        """Remove manifests, logs and unpromoted results of `job`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that is kept, and that nobody may need any more."""

    #: What it is: `blob`, `probe`, `boot log`, `trash`, `node folder`, `group` (of VMs), `VM`.
    kind: str
    #: Names it among all of its kind.
    name: str
    #: Seconds since it was made, or last used as far as that is known.
    age: float
    #: Bytes; None where that is no question.
    size: int | None = None
    #: The cluster that it was made for.
    cluster: str | None = None
    #: The VMs that are there because of it.
    machines: int = 0
    #: Where it is, and what tells it from something later of its name: for its keeper.
    place: Any = None


class Keeper(Protocol):
    """Keeps things that may outlive their use."""

    def kept(self) -> Iterator[Kept]:
        """Yield all that is kept, but for what is surely in use. Changes nothing."""
        ...

    def drop(self, things: Sequence[Kept]) -> None:
        """Remove things, each if it is still there and has not been used since it was listed."""
        ...


class Environments(Protocol):
    """What submitting shells export, for tasks without an image. It holds secrets: it stays on this machine."""

    def write(self, environment: Mapping[str, str]) -> str:
        """Keep an environment, readable by its owner alone. Returns its name."""
        ...

    def read(self, name: str) -> dict[str, str]:
        """Return an environment that `write` kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFile:
    """An object of a bucket, as it is at one of its generations."""

    #: `gs://bucket/object`.
    url: str
    #: Digits.
    generation: str
    size: int
    #: As Cloud Storage writes it: base64 of the four bytes.
    crc32c: str


class Buckets(Protocol):
    """The objects of buckets that tasks are given. Nothing is ever written there."""

    def find(self, urls: Sequence[str]) -> Mapping[str, Sequence[BucketFile]]:
        """Return what each `gs://bucket/object` stands for: the object of exactly that name, or else all below it.

        With a slash at its end, or without an object, a URL stands only for what is below it: all of the bucket.
        Empty objects whose names end in a slash are left out: they only show folders. Nothing found is an empty
        sequence; URLs of a bucket that does not exist are not in the mapping. Raises RequestError for more
        objects below one URL than a task can be given, and BackendError, with what to do, if it cannot be found out.
        """
        ...

    def missing(self, contents: Sequence[str]) -> set[str]:
        """Return those of `contents` (`gs://bucket/object#generation`) that are not there any more."""
        ...

    def absent(self, buckets: Sequence[str]) -> set[str]:
        """Return those of some buckets, by their names, that do not exist.

        Raises BackendError, with what to do, if what is in one of the others may not be seen.
        """
        ...

    def stage(self, content: str, destination: Path, *, executable: bool) -> None:
        """Make a private, writable copy of `gs://bucket/object#generation` at `destination`, whose folder exists.

        It is there once it is whole. Raises BackendError if that generation is not there any more.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """What is known of a cluster's nodes beside their records: those that are yet to report."""

    #: Asked for; the cloud has not made them so far.
    submitted: int = 0
    #: Made; their workers have not reported yet.
    staging: int = 0
    #: Why nodes do not come, each in words for the user, with what to do about it.
    troubles: Sequence[str] = ()
    #: Wall clock, seconds: when nodes were asked for the last time; None where nobody has to ask.
    asked: float | None = None


class Compute(Protocol):
    """The machines that nodes run on."""

    def require(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """Raise RequestError or BackendError if nodes of `cluster` can never be started from here.

        To be asked before a job is submitted. `nodes` are those that the cluster has.
        """
        ...

    def machine(self, spec: JobSpec, image: str | None) -> Machine | None:
        """Return what each node for such a job, with this pinned image, is made of; None where that is no question.

        Raises RequestError for what no node can be made of. Writes nothing.
        """
        ...

    def supplies(self, cluster: Cluster) -> Mapping[str, Path]:
        """Return sha256 → file here of what nodes of `cluster` need of the store to start.

        Writes nothing; but to get one of the files may take long, and is left alone if the store has it.
        """
        ...

    def elsewhere(self, cluster: Cluster) -> str | None:
        """Return why nodes of this cluster are not started from here; None if they are."""
        ...

    def raise_nodes(self, cluster: Cluster, state: StateStore, *, wanted: int) -> None:
        """See to it that `wanted` nodes of `cluster` are starting or alive. Never lowers their number.

        With none wanted, what it takes to start some is made ready: where nodes do that, they may not make it.
        """
        ...

    def shed(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        """Take back the request for nodes that have not been made yet, see `staffing.to_shed`.

        `nodes` are the cluster's records, read before. Whoever calls it looks for work afterwards.
        """
        ...

    def staffing(self, cluster: Cluster, nodes: Sequence[Node]) -> Staffing:
        """Return what is known of nodes beside the records `nodes`, which were read before."""
        ...

    def clean_up(self, cluster: Cluster, state: StateStore) -> None:
        """Remove what was kept to start nodes of `cluster`, if there are none. `raise_nodes` makes it anew."""
        ...

    def wake(self, nodes: Sequence[Node]) -> None:
        """Tell nodes to look at their cluster now. Harmless for nodes that are gone."""
        ...

    def lapsed(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Return those of `nodes` whose worker is dead or hung."""
        ...

    def fence(self, node: Node) -> frozenset[str] | None:
        """End what is left of a lapsed node. When this returns, none of its attempts runs any more.

        Returns the claims that were running when it died, or None if that is not known.
        """
        ...

    def forget(self, node: Node, *, needed: bool) -> None:
        """Remove what was kept of a lapsed node, now that its tasks have been taken from it.

        If it is still `needed`, its machine may be made anew instead.
        """
        ...

    def last_words(self, node: Node) -> str:
        """Return the end of what a dead node wrote about itself; empty if nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a runtime is asked to run."""

    claim: str
    argv: Sequence[str]
    #: The whole environment; in an image, what is added to the image's own.
    env: Mapping[str, str]
    #: The existing folder that the command starts in.
    folder: Path
    #: The file that stdout and stderr are appended to; made if it is not there.
    log: Path
    #: `<job>.<index>`, for people.
    task: str = ""
    #: A pinned image, see `Images`.
    image: str | None = None
    #: All of the work directory, which a command in an image finds under the same path. It holds `folder`.
    work: Path | None = None
    #: The most bytes of memory that a command in an image may use; None for no limit.
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a command ended."""

    #: The exit code; 128 + the signal's number if a signal ended it.
    exit: int
    #: Bytes; None where it is not known.
    peak_memory: int | None = None
    out_of_memory: bool = False


class Running(Protocol):
    """A command that has been started."""

    def wait(self) -> Ending:
        """Wait for the end of the command; end what it left running. Called once.

        Raises LaunchError if it turns out that the command could not be executed at all, and BackendError if it was
        lost: nothing of it runs any more, and nobody knows how it ended.
        """
        ...

    def signal(self, number: int) -> None:
        """Send a signal to the command and all it started. Harmless after its end."""
        ...

    def sample(self) -> Sample | None:
        """Return what the command uses now, or None where that cannot be known."""
        ...


class Runtime(Protocol):
    """Runs commands on a node."""

    def start(self, launch: Launch) -> Running:
        """Start a command.

        Raises LaunchError, with the exit code that a shell would give, if it cannot be executed; what only comes to
        light later is for `Running.wait` to raise.
        """
        ...


#: Takes the bytes that have come so far, and how many there are as far as is known.
Progress = Callable[[int, int], None]


class Images(Protocol):
    """The images that tasks can run in."""

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        """Return what the name of an image means now: `name@sha256:…`, or the id of one that is only here.

        A name that can only mean one image is not looked up. Changes nothing. Raises RequestError if there is no such
        image, or none that nodes could run; BackendError if that cannot be found out. `architecture` is the one of
        nodes that are made for the job, as docker calls it; where nodes are this machine, its own counts.
        """
        ...

    def fetch(self, pinned: str, progress: Progress, *, architecture: str | None = None) -> None:
        """See to it that nodes, of this `architecture`, have a pinned image, or will get it by themselves.

        Raises RequestError or BackendError if they cannot have it, or could not run it.
        """
        ...


class Place(Protocol):
    """What a worker knows of the node it runs on."""

    name: str
    #: The folder for work directories.
    work: Path
    #: A file descriptor that becomes readable when the node is called.
    wake: int
    #: Names the boot that `clock` counts from.
    boot: str
    #: The node's record, for its worker to write first; None where whoever started it has written one.
    node: Node | None
    #: When the node has to be gone, in the seconds of `clock`; None for never.
    end: float | None

    def clock(self) -> float:
        """Return the seconds that leases are counted in."""
        ...

    def call(self) -> None:
        """Make `wake` readable. Safe in any thread and in a signal handler."""
        ...

    def watch(self, taken_away: Callable[[], None]) -> None:
        """Call `taken_away`, in another thread, when the machine is announced to be taken away."""
        ...

    def depart(self, *, needed: bool) -> None:
        """Have the machine removed, or made anew if a node is still `needed` in its place.

        When this returns, nobody counts on it any more. To be called by a node that has announced that it leaves.
        Raises BackendError if that could not be asked for.
        """
        ...

    def leave(self) -> None:
        """Remove what the node kept. The last thing a worker does."""
        ...


class Hashes(Protocol):
    """Hashes of local files."""

    def sha256(self, path: Path) -> str:
        """Return the sha256, in hex, of a file's content. Raises OSError if it cannot be read."""
        ...

    def keep(self) -> None:
        """Remember what has been found out, for processes to come. Not for what must not write anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One column of adapters, and how times differ there."""

    name: str
    state: StateStore
    objects: ObjectStore
    compute: Compute
    hashes: Hashes
    #: Opens it once more, for another thread.
    reopen: Callable[[], Backend]
    #: Names what a node has besides its machine, at home the worker program: nodes serve only jobs with the same one.
    worker: Callable[[], str]
    #: The seconds of the protocol there.
    timing: Timing = field(default_factory=Timing)
    #: Runs commands without an image; None where each task needs one.
    host: Runtime | None = None
    #: What such commands start from; None where there are none.
    environments: Environments | None = None
    #: Runs commands in images; None on a client that never does.
    containers: Runtime | None = None
    #: None where there are no images.
    images: Images | None = None
    #: None where no files of buckets can be had.
    buckets: Buckets | None = None
    #: Tasks that a node runs at once, if the manifest does not say.
    default_slots: int = 1
    #: Seconds that a node lingers, if the manifest does not say.
    default_linger: float = 600.0
    #: The most nodes that a cluster can have at all; None if the manifest decides.
    most_nodes: int | None = None
