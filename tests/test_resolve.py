"""Resolve: what a manifest names is looked up, and nothing is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import FakeBuckets, a_backend, a_manifest
from contracts.objects import store_blob

from sparkles import manifest as manifests
from sparkles import resolve
from sparkles.dry import read_only
from sparkles.errors import BackendError, ProblemsError, RequestError
from sparkles.ports.backend import Backend
from sparkles.resolve import Pinned
from sparkles.resources import template_text

Write = Callable[..., None]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return a_backend(tmp_path / "home")


@pytest.fixture
def write(base: Path) -> Write:
    def write(*names: str, content: str | None = None, mode: int = 0o644) -> None:
        for name in names:
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name if content is None else content)
            path.chmod(mode)

    return write


@pytest.fixture
def pin(base: Path, backend: Backend) -> Callable[..., Pinned]:
    """Pin a job; the stores refuse writes meanwhile."""

    def pin(*command: str, **spec: Any) -> Pinned:
        return resolve.pin(a_manifest(base, command or ["run"], **spec), read_only(backend))

    return pin


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def uploads(pinned: Pinned) -> list[tuple[str, str, str]]:
    """Return (src, dest, content's name) of each pinned upload; files are written with their name as content."""
    return [
        (entry["src"], entry["dest"], next(str(path) for d, path in pinned.sources.items() if d == entry["sha256"]))
        for entry in pinned.document["spec"]["uploads"]
    ]


# Uploads


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("a.txt", [("a.txt", "a.txt")], id="a file"),
        pytest.param("a.txt:b/c.txt", [("a.txt", "b/c.txt")], id="src:dest"),
        pytest.param({"src": "a.txt", "dest": "x"}, [("a.txt", "x")], id="a mapping"),
        pytest.param("d/b.txt", [("d/b.txt", "d/b.txt")], id="below a folder"),
        pytest.param("d", [("d/b.txt", "d/b.txt"), ("d/e/c.txt", "d/e/c.txt")], id="a folder"),
        pytest.param("d/", [("d/b.txt", "d/b.txt"), ("d/e/c.txt", "d/e/c.txt")], id="a folder with a slash"),
        pytest.param("d:x", [("d/b.txt", "x/b.txt"), ("d/e/c.txt", "x/e/c.txt")], id="a folder with a dest"),
        pytest.param("d:x/", [("d/b.txt", "x/d/b.txt"), ("d/e/c.txt", "x/d/e/c.txt")], id="a folder into a folder"),
        pytest.param("a.txt:x/", [("a.txt", "x/a.txt")], id="a file into a folder"),
        pytest.param("../outside.txt:in.txt", [("../outside.txt", "in.txt")], id="outside, with a dest"),
        pytest.param("{{x}}.txt", [("{{x}}.txt", "{{x}}.txt")], id="a name with braces"),
    ],
)
def test_an_upload_is_pinned_file_by_file(write, pin, entry, expected) -> None:
    write("a.txt", "d/b.txt", "d/e/c.txt", "../outside.txt", "{x}.txt")

    pinned = pin(uploads=[entry])

    assert [(src, dest) for src, dest, _ in uploads(pinned)] == expected
    assert pinned.files == len(expected)
    assert pinned.digests == set(pinned.sources)


def test_a_pinned_upload_is_its_content(write, pin, base) -> None:
    write("a.txt", content="content")

    pinned = pin(uploads=["a.txt"])

    assert pinned.document["spec"]["uploads"] == [
        {"src": "a.txt", "dest": "a.txt", "sha256": sha256("content"), "executable": False}
    ]
    assert pinned.sources == {sha256("content"): base / "a.txt"}


def test_an_absolute_upload_lands_under_its_own_name(pin, tmp_path) -> None:
    (tmp_path / "far" / "d").mkdir(parents=True)
    (tmp_path / "far" / "d" / "x.txt").write_text("x")

    file = pin(uploads=[f"{tmp_path}/far/d/x.txt"])
    folder = pin(uploads=[f"{tmp_path}/far/d"])

    assert [dest for _, dest, _ in uploads(file)] == ["x.txt"]
    assert [dest for _, dest, _ in uploads(folder)] == ["d/x.txt"]


def test_the_executable_bit_is_pinned(write, pin) -> None:
    write("a.sh", mode=0o755)
    write("b.sh", mode=0o655)

    entries = pin(uploads=["a.sh", "b.sh"]).document["spec"]["uploads"]

    assert [entry["executable"] for entry in entries] == [True, False]


def test_lists_name_files_relative_to_the_manifest(write, pin) -> None:
    write("a.txt", "b.txt", "sub/c.txt")
    write("files.txt", content="# what is needed\n\n  a.txt  \nb.txt:in/b.txt\n@sub/more.txt\n")
    write("sub/more.txt", content="\ufeffsub/c.txt\r\n")

    pinned = pin(uploads=["@files.txt"])

    assert [(src, dest) for src, dest, _ in uploads(pinned)] == [
        ("a.txt", "a.txt"), ("b.txt", "in/b.txt"), ("sub/c.txt", "sub/c.txt")
    ]  # fmt: skip


def test_lists_that_name_each_other_in_a_circle_are_an_error(write, pin) -> None:
    write("a.txt", content="@b.txt")
    write("b.txt", content="@a.txt")

    with pytest.raises(RequestError, match=r"the lists a\.txt → b\.txt → a\.txt name each other in a circle"):
        pin(uploads=["@a.txt"])


def test_a_list_that_is_empty_is_no_upload(write, pin) -> None:
    write("files.txt", content="# none\n")

    assert "uploads" not in pin(uploads=["@files.txt"]).document["spec"]


def test_a_list_that_is_not_there_or_no_text_is_an_error(pin, base) -> None:
    (base / "binary").write_bytes(b"a\xff")

    with pytest.raises(RequestError, match=rf"spec\.uploads\[1\]: no file 'none' in {base}"):
        pin(uploads=[{"src": "x"}, "@none"])
    with pytest.raises(RequestError, match="binary: byte 1 is not UTF-8 text"):
        pin(uploads=["@binary"])


def test_all_missing_files_are_named_at_once_with_the_folder_they_were_looked_for_in(write, pin, base) -> None:
    write("there.txt")
    (base / "empty").mkdir()

    with pytest.raises(ProblemsError) as error:
        pin(
            uploads=["a.txt", "there.txt", "sub/b.txt:x", "empty", "{x}.csv"],
            parameters={"rows": [{"x": "1"}, {"x": "2"}]},
        )

    assert list(error.value.problems) == [
        f"spec.uploads[0]: no file 'a.txt' in {base}",
        f"spec.uploads[2]: no file 'sub/b.txt' in {base}",
        f"spec.uploads[3]: the folder 'empty' in {base} holds no file",
        f"spec.uploads[4]: no file '1.csv' in {base}",
        f"spec.uploads[4]: no file '2.csv' in {base}",
    ]


@pytest.mark.parametrize("src", ["../outside.txt", "d/../../outside.txt"])
def test_a_src_outside_needs_a_dest(write, pin, src) -> None:
    write("../outside.txt", "d/x")

    with pytest.raises(RequestError, match=rf"is outside .*; say where it goes: {src}:outside\.txt"):
        pin(uploads=[src])


def test_links_in_folders_are_followed_but_never_in_circles(write, pin, base) -> None:
    write("d/a.txt", "far/b.txt")
    (base / "d" / "circle").symlink_to(base / "d")
    (base / "d" / "more").symlink_to(base / "far")
    (base / "d" / "link.txt").symlink_to("a.txt")
    (base / "d" / "dangling").symlink_to("nowhere")

    pinned = pin(uploads=["d"])

    assert [src for src, _, _ in uploads(pinned)] == ["d/a.txt", "d/link.txt", "d/more/b.txt"]
    assert "'d/dangling' is neither a file nor a folder; left out" in pinned.warnings


def test_a_folder_that_can_be_reached_in_two_ways_is_there_twice(write, pin, base) -> None:
    write("d/v2/f.txt")
    (base / "d" / "current").symlink_to("v2")

    pinned = pin(uploads=["d"])

    assert [src for src, _, _ in uploads(pinned)] == ["d/current/f.txt", "d/v2/f.txt"]


def test_braces_in_names_below_a_folder_are_no_placeholders(write, pin) -> None:
    write("d/a{b}.txt", "d/{index}", "d/{{x}}/f")

    pinned = pin(uploads=["d"])

    assert sorted(entry.dest for entry in tasks(pinned)[0].inputs) == ["d/a{b}.txt", "d/{index}", "d/{{x}}/f"]


def test_a_name_that_is_not_text_is_an_error(base, pin) -> None:
    (base / "d").mkdir()
    (base / os.fsdecode(b"d/\xff.txt")).touch()

    with pytest.raises(RequestError, match=r"spec.uploads\[0\]: d: the name .* is not text in UTF-8"):
        pin(uploads=["d"])


def test_a_pattern_that_cannot_be_read_is_an_error(pin) -> None:
    with pytest.raises(RequestError, match=r"spec.outputs.exclude\[1\]: '\[z-a\]\*' is not a pattern: bad character"):
        pin(outputs={"exclude": ["*.tmp", "[z-a]*"]})


def test_a_src_with_placeholders_is_pinned_for_each_row(write, pin) -> None:
    write("s/a.csv", "s/b.csv", "s/unused.csv")

    pinned = pin("run", uploads=["s/{x}.csv:in.csv"], parameters={"rows": [{"x": "b"}, {"x": "a"}, {"x": "b"}]})

    (entry,) = pinned.document["spec"]["uploads"]
    assert (entry["src"], entry["dest"]) == ("s/{x}.csv", "in.csv")
    assert [(file["src"], file["sha256"]) for file in entry["files"]] == [
        ("s/b.csv", sha256("s/b.csv")), ("s/a.csv", sha256("s/a.csv"))
    ]  # fmt: skip
    assert [task.inputs[0].content for task in tasks(pinned)] == [
        sha256("s/b.csv"),
        sha256("s/a.csv"),
        sha256("s/b.csv"),
    ]


def test_a_folder_may_be_chosen_by_a_parameter(write, pin) -> None:
    write("data/1/p", "data/1/q/r", "data/10/p")

    pinned = pin("run", uploads=["data/{x}:in"], parameters={"rows": [{"x": "1"}, {"x": "10"}]})

    assert [[entry.dest for entry in task.inputs] for task in tasks(pinned)] == [["in/p", "in/q/r"], ["in/p"]]


def test_a_file_is_chosen_by_the_index_of_a_seq_alone(write, pin) -> None:
    write("1.txt", "2.txt")

    assert [task.inputs[0].dest for task in tasks(pin(uploads=["{index}.txt"], parameters={"seq": 2}))] == [
        "1.txt",
        "2.txt",
    ]
    with pytest.raises(RequestError, match=r"no file is chosen by \{index\}"):
        pin(uploads=["{index}.txt"], parameters={"rows": [{"x": "1"}, {"x": "2"}]})


def tasks(pinned: Pinned) -> list[Any]:
    rows = [dict(zip(pinned.sweep.columns, values, strict=True)) for values in pinned.sweep]
    return [pinned.definition().define(row, index) for index, row in enumerate(rows, start=1)]


# Buckets


@pytest.fixture
def buckets() -> FakeBuckets:
    return FakeBuckets()


@pytest.fixture
def pin_there(base: Path, tmp_path: Path, buckets: FakeBuckets) -> Callable[..., Pinned]:
    """Pin a job on a backend that has buckets."""
    backend = a_backend(tmp_path / "cloud", buckets=buckets)

    def pin(*command: str, waits: Sequence[str] = (), **spec: Any) -> Pinned:
        return resolve.pin(a_manifest(base, command or ["run"], **spec), read_only(backend), waits=waits)

    return pin


def test_all_folders_of_buckets_that_do_not_exist_are_named_with_what_else_is_missing(pin_there, buckets) -> None:
    buckets.put("gs://here/x")
    mounts = [{"bucket": bucket, "path": f"/{bucket}"} for bucket in ("nowhere", "here", "neither")]

    with pytest.raises(ProblemsError) as error:
        pin_there(uploads=["gs://here/y"], resources={"mounts": mounts})

    assert str(error.value).splitlines() == [
        "spec.uploads[0]: nothing is at gs://here/y: no object of that name, and none below it",
        "spec.resources.mounts[0].bucket: there is no bucket 'nowhere'",
        "spec.resources.mounts[2].bucket: there is no bucket 'neither'",
    ]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("gs://bkt/m.rds", [("m.rds", "gs://bkt/m.rds#1")], id="an object"),
        pytest.param("gs://bkt/m.rds:x/y.rds", [("x/y.rds", "gs://bkt/m.rds#1")], id="src:dest"),
        pytest.param("gs://bkt/m.rds:x/", [("x/m.rds", "gs://bkt/m.rds#1")], id="into a folder"),
        pytest.param("gs://bkt/d", [("d/a", "gs://bkt/d/a#3"), ("d/e/b", "gs://bkt/d/e/b#4")], id="a folder"),
        pytest.param("gs://bkt/d/", [("d/a", "gs://bkt/d/a#3"), ("d/e/b", "gs://bkt/d/e/b#4")], id="with a slash"),
        pytest.param("gs://bkt/d/:ref", [("ref/a", "gs://bkt/d/a#3"), ("ref/e/b", "gs://bkt/d/e/b#4")], id="as ref"),
        pytest.param("gs://bkt/d:x/", [("x/d/a", "gs://bkt/d/a#3"), ("x/d/e/b", "gs://bkt/d/e/b#4")], id="in a folder"),
        pytest.param("gs://other", [("other/{x}", "gs://other/{x}#5")], id="a bucket"),
        pytest.param("gs://other/:.", [("{x}", "gs://other/{x}#5")], id="a bucket as the work directory"),
        pytest.param("gs://other/{{x}}", [("{x}", "gs://other/{x}#5")], id="a name with braces"),
    ],
)
def test_an_upload_from_a_bucket_is_pinned_by_generation(pin_there, buckets, entry, expected) -> None:
    for url in ("gs://bkt/m.rds", "gs://bkt/d/", "gs://bkt/d/a", "gs://bkt/d/e/b", "gs://other/{x}"):
        buckets.put(url, b"" if url.endswith("/") else b"content")

    pinned = pin_there(uploads=[entry])

    assert [(file.dest, file.content) for file in tasks(pinned)[0].inputs] == expected
    assert (pinned.files, pinned.digests, pinned.sources) == (0, set(), {})


def test_a_pinned_object_says_so_and_is_a_program_if_its_author_says_so(pin_there, buckets) -> None:
    for name in ("m.rds", "run", "bin/a"):
        buckets.put(f"gs://bkt/{name}", b"x")

    pinned = pin_there(
        uploads=[
            "gs://bkt/m.rds",
            {"src": "gs://bkt/run", "executable": True},
            {"src": "gs://bkt/bin", "executable": True},
        ]
    )

    assert pinned.document["spec"]["uploads"] == [
        {"src": "gs://bkt/m.rds", "dest": "m.rds", "generation": "1", "executable": False},
        {"src": "gs://bkt/run", "dest": "run", "generation": "2", "executable": True},
        {
            "src": "gs://bkt/bin", "dest": "bin", "executable": True,
            "files": [{"src": "gs://bkt/bin/a", "generation": "3", "executable": True}],
        },
    ]  # fmt: skip


def test_the_objects_of_all_rows_and_entries_are_asked_for_at_once_and_each_once(pin_there, buckets, write) -> None:
    for name in "abm":
        buckets.put(f"gs://bkt/{name}", name)
    write("list.txt", content="gs://bkt/m\ngs://bkt/a:again\n")

    pinned = pin_there(
        uploads=[{"src": "gs://bkt/{x}", "dest": "in"}, "@list.txt"],
        parameters={"rows": [{"x": "b"}, {"x": "a"}, {"x": "b"}]},
    )

    assert [url for asked in buckets.asked for url in asked] == ["gs://bkt/b", "gs://bkt/a", "gs://bkt/m"]
    assert [[file.content for file in task.inputs] for task in tasks(pinned)] == [
        ["gs://bkt/b#2", "gs://bkt/m#3", "gs://bkt/a#1"],
        ["gs://bkt/a#1", "gs://bkt/m#3", "gs://bkt/a#1"],
        ["gs://bkt/b#2", "gs://bkt/m#3", "gs://bkt/a#1"],
    ]


def test_a_parameter_may_be_a_whole_url_in_one_row_and_a_file_here_in_another(pin_there, buckets, write) -> None:
    buckets.put("gs://bkt/s/1.bam", b"x")
    write("2.bam")

    pinned = pin_there(uploads=["{bam}:in.bam"], parameters={"rows": [{"bam": "gs://bkt/s/1.bam"}, {"bam": "2.bam"}]})

    assert [task.inputs[0].content for task in tasks(pinned)] == ["gs://bkt/s/1.bam#1", sha256("2.bam")]
    assert pinned.files == 1


def test_all_that_is_wrong_with_objects_is_said_at_once_with_what_is_wrong_with_files(pin_there, buckets, base) -> None:
    buckets.put("gs://bkt/there", b"x")
    gone = {"src": "gs://bkt/there", "dest": "x", "generation": "7"}

    with pytest.raises(ProblemsError) as error:
        pin_there(
            uploads=["gs://bkt/none", "none", "gs://bkt/{x}", "gs://nowhere/f", "gs:///f", "gs://B/f", "gs://bkt/*.bam",
                     gone, {"src": "gs://bkt/there", "sha256": "0" * 64}, {"src": "a.txt", "generation": "1"}],
            parameters={"rows": [{"x": "1"}, {"x": "there"}]},
        )  # fmt: skip

    patterns = "patterns are not looked up: name the folder to have all of it"
    replaced = "the object was replaced or deleted; to take it as it is now, apply a manifest without that generation"
    assert list(error.value.problems) == [
        "spec.uploads[0]: nothing is at gs://bkt/none: no object of that name, and none below it",
        f"spec.uploads[1]: no file 'none' in {base}",
        "spec.uploads[2]: nothing is at gs://bkt/1: no object of that name, and none below it",
        "spec.uploads[3]: gs://nowhere/f: there is no bucket 'nowhere'",
        "spec.uploads[4]: 'gs:///f' is no URL of a bucket: expected gs://BUCKET/OBJECT",
        "spec.uploads[5]: 'gs://B/f' is no URL of a bucket: expected gs://BUCKET/OBJECT",
        f"spec.uploads[6]: nothing is at gs://bkt/*.bam: no object of that name, and none below it; {patterns}",
        f"spec.uploads[7]: gs://bkt/there: its generation 7 is not there any more: {replaced}",
        "spec.uploads[8]: gs://bkt/there: an object of a bucket is fixed by its generation, not by its sha256",
        "spec.uploads[9]: 'a.txt' is not in a bucket, so it has no generation",
    ]


@pytest.mark.parametrize("src", ["gs:/bkt/x", "GS://bkt/x", {"src": "gs:/x"}])
def test_a_url_that_is_none_is_not_taken_for_a_file(pin_there, src) -> None:
    with pytest.raises(RequestError, match=r"spec\.uploads\[0\]: .*: expected gs://BUCKET/OBJECT"):
        pin_there(uploads=[src])


def test_an_object_that_would_leave_the_work_directory_is_an_error(pin_there, buckets) -> None:
    buckets.put("gs://bkt/d/../../x", b"x")
    pinned = pin_there(uploads=["gs://bkt/d"])

    with pytest.raises(RequestError, match=r"'d/\.\./\.\./x' is not inside the work directory"):
        tasks(pinned)


@pytest.mark.parametrize("entry", ["gs://b/o", {"src": "gs://b/o", "dest": "o", "generation": "7"}])
def test_a_bucket_is_for_the_other_backend(pin, entry) -> None:
    with pytest.raises(BackendError, match=r"spec\.uploads\[0\]: gs://b/o: files of a bucket need the gcp backend"):
        pin(uploads=[entry])


def test_objects_that_are_pinned_stay_what_they_are(pin_there, buckets, base, tmp_path) -> None:
    for name in ("m", "d/a", "s/1", "s/2"):
        buckets.put(f"gs://bkt/{name}", name)
    pinned = pin_there(
        uploads=["gs://bkt/m", "gs://bkt/d:ref", "gs://bkt/s/{x}:in"], parameters={"rows": [{"x": "1"}, {"x": "2"}]}
    )
    buckets.put("gs://bkt/d/b", b"new, and not asked for")
    buckets.asked.clear()

    once_more = again(pinned, base, a_backend(tmp_path / "cloud", buckets=buckets))

    assert once_more.document == pinned.document
    assert once_more.definition().digests(once_more.sweep) == pinned.definition().digests(pinned.sweep)
    assert sorted(url for asked in buckets.asked for url in asked) == [
        "gs://bkt/d/a#2", "gs://bkt/m#1", "gs://bkt/s/1#3", "gs://bkt/s/2#4"
    ]  # fmt: skip


def test_objects_that_rows_choose_which_are_not_known_yet_are_left_for_later(pin_there, buckets) -> None:
    buckets.put("gs://bkt/m", b"x")

    pinned = pin_there(
        "run", "{x}", waits=["first"], needs=["first"], parameters={"csv": "{results.first}/1/rows.csv"},
        uploads=["gs://bkt/m", {"src": "gs://bkt/{x}", "dest": "in"}],
    )  # fmt: skip

    assert pinned.document["spec"]["uploads"] == [
        {"src": "gs://bkt/m", "dest": "m", "generation": "1", "executable": False},
        {"src": "gs://bkt/{x}", "dest": "in"},
    ]


# Pinned again


def again(pinned: Pinned, base: Path, backend: Backend) -> Pinned:
    """Pin what is pinned, as `get -o yaml | apply -f -` does."""
    (manifest,) = manifests.read(manifests.dump(pinned.document), source="-", base=base)
    return resolve.pin(manifest, backend)


@pytest.fixture
def full(write, pin) -> Pinned:
    write("a.txt", "s/1.csv", "s/2.csv")
    write("p.csv", content="x,y\n1,a\n2,b\n")
    return pin("run", "{x}", uploads=["a.txt", "s/{x}.csv:in"], parameters={"csv": "p.csv"}, env={"Y": "{y}"})


def test_pinning_what_is_pinned_changes_nothing(full, base, backend) -> None:
    once_more = again(full, base, backend)

    assert once_more.document == full.document
    assert once_more.definition().digests(once_more.sweep) == full.definition().digests(full.sweep)
    assert once_more.files == full.files


def test_what_is_pinned_needs_no_local_file_once_it_is_stored(full, tmp_path, backend) -> None:
    for digest, source in full.sources.items():
        store_blob(backend.objects, source, digest)

    elsewhere = again(full, tmp_path / "another machine", backend)

    assert elsewhere.document == full.document
    assert list(elsewhere.sweep) == [("1", "a"), ("2", "b")]
    assert elsewhere.sources == {}


def test_pinned_content_is_what_counts_even_if_the_file_has_changed(full, base, backend) -> None:
    for digest, source in full.sources.items():
        store_blob(backend.objects, source, digest)
    (base / "a.txt").write_text("changed")

    assert again(full, base, backend).document == full.document


def test_pinned_content_that_is_nowhere_is_an_error(full, base, backend) -> None:
    (base / "a.txt").write_text("changed")
    (base / "s" / "2.csv").unlink()

    with pytest.raises(ProblemsError) as error:
        again(full, base, backend)

    assert [problem.split(" (sha256")[0] for problem in error.value.problems] == [
        "spec.uploads[0]: the content of 'a.txt'", "spec.uploads[1]: the content of 's/2.csv'"
    ]  # fmt: skip


# Parameters


def test_a_csv_is_pinned_with_its_hash_and_the_number_of_its_rows(write, pin) -> None:
    write("p.csv", content="x,y\n1,a\n2,b\n")

    pinned = pin("run", parameters={"csv": "p.csv"})

    assert pinned.document["spec"]["parameters"] == {"csv": "p.csv", "sha256": sha256("x,y\n1,a\n2,b\n"), "count": 2}
    assert pinned.files == 1


@pytest.mark.parametrize(
    ("parameters", "columns", "rows"),
    [
        pytest.param(None, (), [()], id="none"),
        pytest.param({"seq": 2}, (), [(), ()], id="seq"),
        pytest.param({"rows": [{"x": "1"}, {"x": "2"}]}, ("x",), [("1",), ("2",)], id="rows"),
        pytest.param({"matrix": {"x": ["1", "2"], "y": ["a"]}}, ("x", "y"), [("1", "a"), ("2", "a")], id="matrix"),
    ],
)
def test_parameters_become_rows(pin, parameters, columns, rows) -> None:
    pinned = pin("run", **({"parameters": parameters} if parameters else {}))

    assert (pinned.sweep.columns, list(pinned.sweep)) == (columns, rows)
    assert pinned.document["spec"].get("parameters") == parameters


def test_a_csv_that_is_not_there_is_an_error_that_names_the_folder(pin, base) -> None:
    with pytest.raises(RequestError, match=rf"spec\.parameters\.csv: no file 'p\.csv' in {base}"):
        pin(parameters={"csv": "p.csv"})


@pytest.mark.parametrize(
    ("name", "content"),
    [("parameters.csv", "lambda,size\n0.1,small\n"), ("p.tsv", "a\tlambda\n1\t2\n"), ("q.csv", '\ufeff"lambda"\n1\n')],
)
def test_a_parameter_that_some_csv_has_is_an_error_that_names_it(write, pin, name, content) -> None:
    write(name, content=content)
    write("other.csv", content="size\n1\n")

    with pytest.raises(
        RequestError, match=rf"no parameter named 'lambda'.*; {name} has such a column: use it with --params {name}"
    ):
        pin("echo", "{lambda}")


def test_bad_placeholders_are_found_before_any_file_is_looked_for(pin) -> None:
    with pytest.raises(RequestError, match=r"^spec\.command\[1\]: no parameter named 'x'"):
        pin("run", "{x}", uploads=["none.txt"])


# The rest


def test_defaults_are_filled_in_and_an_old_status_is_dropped(base, backend) -> None:
    manifest = a_manifest(base)
    manifest.document["status"] = {"generation": 3, "indices": "1"}

    document = resolve.pin(manifest, backend).document

    assert "status" not in document
    assert document["spec"]["nodes"]["max"] == 1
    assert "status" in manifest.document, "the manifest itself stays as it was"


@pytest.mark.parametrize(
    ("command", "uploads", "warned"),
    [
        pytest.param(["python", "fit.py"], [], ["fit.py"], id="a word that is a file"),
        pytest.param(["python", "./fit.py", "fit.py"], [], ["./fit.py", "fit.py"], id="written in two ways"),
        pytest.param(["sh", "sub/run.sh"], [], ["sub/run.sh"], id="below a folder"),
        pytest.param(["python fit.py > out"], [], ["fit.py"], id="in a shell line"),
        pytest.param(["python", "fit.py"], ["fit.py"], [], id="uploaded"),
        pytest.param(["python", "fit.py"], ["./fit.py"], [], id="uploaded, written differently"),
        pytest.param(["python", "fit.py"], ["other.py:fit.py"], [], id="another is uploaded in its place"),
        pytest.param(["sh", "sub/run.sh"], ["sub"], [], id="uploaded with its folder"),
        pytest.param(
            ["sh", "sub/run.sh"], ["sub/other.sh"], ["sub/run.sh"], id="another file of its folder is uploaded"
        ),
        pytest.param(["ls", "sub", "none.py", "/etc/hostname", ""], [], [], id="other words"),
        pytest.param(["x" * 5000], [], [], id="a word too long for a name"),
    ],
)
def test_a_word_that_names_a_file_which_is_not_uploaded_is_a_warning(
    write, pin, base, command, uploads, warned
) -> None:
    write("fit.py", "other.py", "sub/run.sh", "sub/other.sh")
    command = command[0] if " " in command[0] else command

    warnings = resolve.pin(a_manifest(base, command, uploads=uploads), a_backend(base.parent / "b")).warnings

    assert [warning.split("'")[1] for warning in warnings] == warned
    assert all("add -u" in warning for warning in warnings)


def test_folders_of_buckets_have_no_effect_at_home_which_is_a_warning(pin) -> None:
    pinned = pin(resources={"mounts": [{"bucket": "data", "path": "/data"}]})

    assert pinned.warnings == [
        "gs://data is a folder on VMs only; here tasks find at /data what this machine, or their image, has there"
    ]


def test_notes_about_the_csv_are_warnings(write, pin) -> None:
    write("p.csv", content=",x\n1,2\n")

    assert list(pin("run", parameters={"csv": "p.csv"}).warnings) == ["p.csv: the unnamed first column was dropped"]


def test_an_image_without_an_engine_and_no_image_without_a_host_are_errors(base, tmp_path) -> None:
    backend = a_backend(tmp_path / "home", host=None)

    with pytest.raises(RequestError, match=r"spec\.image: missing.*add -i IMAGE"):
        resolve.pin(a_manifest(base), backend)
    with pytest.raises(BackendError, match="image 'r:1'"):
        resolve.pin(a_manifest(base, image="r:1"), backend)


def test_a_check_looks_at_parameters_and_placeholders_but_not_for_uploads(base, backend) -> None:
    resolve.check(a_manifest(base, uploads=["none.txt"]), backend)

    with pytest.raises(RequestError, match="no parameter named 'x'"):
        resolve.check(a_manifest(base, ["run", "{x}"]), backend)


def test_a_sweep_whose_tasks_are_all_the_same_is_warned_of(pin) -> None:
    same = pin("run", parameters={"rows": [{"x": "a"}, {"x": "b"}]})
    different = pin("run", env={"X": "{x}"}, parameters={"rows": [{"x": "a"}, {"x": "b"}]})

    assert list(same.warnings) == ["all 2 tasks are the same: none uses a parameter; write {x} where its value belongs"]
    assert list(different.warnings) == []


def test_the_store_is_asked_once_about_all_content_that_is_pinned(pin, backend, base, monkeypatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(backend.objects, "missing", lambda digests: asked.append(list(digests)) or set())
    entries = [{"src": f"f{n}", "dest": f"f{n}", "sha256": str(n) * 64, "executable": False} for n in range(3)]
    folder = {"src": "d/{index}", "files": [{"src": "d/1", "sha256": "a" * 64, "executable": False}]}

    pin(uploads=[*entries, folder])

    assert asked == [["0" * 64, "1" * 64, "2" * 64, "a" * 64]]


# Images


class Seen:
    """Images that every name has, whatever it is; remembers for which processor they were wanted."""

    def __init__(self) -> None:
        self.architectures: list[str | None] = []

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        self.architectures.append(architecture)
        return f"{name}@sha256:{'1' * 64}"

    def fetch(self, pinned: str, progress: Any, *, architecture: str | None = None) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("resources", "architecture"),
    [({}, "amd64"), ({"machineType": "n1-standard-1"}, "amd64"), ({"machineType": "t2a-standard-1"}, "arm64")],
)
def test_an_image_is_pinned_for_the_processor_of_the_machine_type(base, tmp_path, resources, architecture) -> None:
    images = Seen()
    backend = a_backend(tmp_path / "with images", images=images)

    pinned = resolve.pin(a_manifest(base, image="r-base", resources=resources), backend)

    assert pinned.spec.image == f"r-base@sha256:{'1' * 64}"
    assert images.architectures == [architecture]


def test_a_file_of_sparkles_itself_is_the_same_wherever_it_is_installed(pin) -> None:
    pinned = pin("run", uploads=[{"src": "{sparkles.templates}/foreach.py", "dest": ".foreach/run.py"}])

    (entry,) = pinned.document["spec"]["uploads"]
    content = template_text("foreach.py").encode()
    assert entry == {
        "src": "{sparkles.templates}/foreach.py",
        "dest": ".foreach/run.py",
        "sha256": hashlib.sha256(content).hexdigest(),
        "executable": False,
    }
    assert [path.read_bytes() for path in pinned.sources.values()] == [content]


def test_a_file_that_sparkles_does_not_have_is_missing(pin) -> None:
    with pytest.raises(ProblemsError, match=r"no file '\{sparkles.templates\}/none.py'"):
        pin("run", uploads=["{sparkles.templates}/none.py:x.py"])
