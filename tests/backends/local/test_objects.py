"""Objects in a directory: the contract, and what only a directory shows."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from contracts.objects import (
    ObjectStoreContract,
    a_document,
    a_result,
    always,
    append,
    fetched,
    read,
    sha256,
    store_blob,
)

from sparkles.backends.local.objects import DirectoryObjects
from sparkles.errors import BackendError
from sparkles.paths import Home
from sparkles.ports.objects import Output, Result


class TestDirectoryObjects(ObjectStoreContract):
    @pytest.fixture
    def home(self, tmp_path: Path) -> Home:
        return Home(tmp_path / "home")

    @pytest.fixture
    def objects(self, home: Home) -> DirectoryObjects:
        return DirectoryObjects(home)

    def test_a_refused_blob_leaves_no_file(self, objects, home, tmp_path):
        source = tmp_path / "source"
        source.write_bytes(b"changed")

        with pytest.raises(BackendError):
            store_blob(objects, source, sha256(b"other"))

        assert files_below(home.root) == []

    def test_blobs_cannot_be_written_to(self, objects, put_blob, home):
        put_blob(b"content")

        (blob,) = files_below(home.root)
        assert stat.S_IMODE(blob.stat().st_mode) == 0o444

    def test_a_finished_job_keeps_only_what_is_its_own(self, objects, commit, home):
        commit("a", log=b"out\n", files={"x": b"1"})
        commit("b", index=2)

        left = {str(path.relative_to(home.objects)) for path in files_below(home.root)}
        assert left == {
            "j/1/stdout.txt", "j/1/result.json", "j/1/x", "j/2/stdout.txt", "j/2/result.json", ".sparkles/jobs/j/lock"
        }  # fmt: skip

    def test_only_folders_with_a_number_are_results(self, objects, commit, home):
        commit("a")
        (home.objects / "j" / "notes").mkdir()
        (home.objects / "j" / "readme.txt").write_text("mine")

        assert list(objects.results("j")) == [1]

    def test_a_result_folder_without_a_whole_result_is_none(self, objects, home):
        (home.objects / "j" / "1").mkdir(parents=True)
        (home.objects / "j" / "1" / "stdout.txt").touch()

        assert objects.read_result("j", 1) is None

    def test_a_result_that_is_only_published_is_nobodys(self, objects, publish):
        publish("a", files={"data.txt": b"1"})

        assert objects.read_result("j", 1) is None
        assert list(objects.results("j")) == []

    def test_an_older_result_stays_until_the_newer_one_is_promoted(self, objects, commit, publish, tmp_path):
        old = commit("a", log=b"old\n", files={"old.txt": b"old"})
        new = publish("b", log=b"new\n", files={"new.txt": b"new"})
        before = read(objects), fetched(objects, tmp_path / "before")[1]

        objects.promote("j", 1, new)

        assert before == (
            (old, a_document("a", files={"old.txt": b"old"})),
            {"old.txt": b"old", "stdout.txt": b"old\n"},
        )
        assert read(objects) == (new, a_document("b", files={"new.txt": b"new"}))
        assert fetched(objects, tmp_path / "after")[1] == {"new.txt": b"new", "stdout.txt": b"new\n"}

    def test_a_late_promote_of_an_older_result_changes_nothing(self, objects, publish, tmp_path):
        zombie = publish("zombie", log=b"old\n", files={"old.txt": b"old"})
        current = publish("current", log=b"new\n", files={"new.txt": b"new"})
        objects.promote("j", 1, current)

        objects.promote("j", 1, zombie)

        assert read(objects) == (current, a_document("current", files={"new.txt": b"new"}))
        assert fetched(objects, tmp_path)[1] == {"new.txt": b"new", "stdout.txt": b"new\n"}

    def test_unpromoted_are_the_results_that_were_published_and_never_promoted(self, objects, commit, publish):
        commit("a", index=1)
        generations = {(2, publish("b", index=2)), (2, publish("c", index=2)), (10, publish("d", index=10))}

        assert set(objects.unpromoted("j")) == generations
        assert list(objects.unpromoted("none")) == []

    def test_discarding_what_is_committed_changes_nothing(self, objects, commit):
        generation = commit("a")

        objects.discard("j", 1, "a")

        assert read(objects) == (generation, a_document("a"))

    def test_a_discarded_result_leaves_the_one_before_it(self, objects, commit, publish):
        committed = commit("a")
        lost = publish("b", files={"x": b"1"})

        objects.discard("j", 1, "b")
        objects.promote("j", 1, lost)

        assert read(objects) == (committed, a_document("a"))

    def test_results_are_brought_in_beside_others_lease_or_not(self, objects, tmp_path):
        result = a_result(objects, tmp_path, "a", files={})

        assert objects.publish(result, holds=lambda: False) == "a"

    def test_results_are_downloaded_by_fetch(self, objects):
        assert objects.download_line("my-job") == "sparkles fetch my-job DEST_DIR"

    def test_result_json_is_for_people_too(self, objects, commit, home):
        commit("a")

        text = (home.objects / "j" / "1" / "result.json").read_text(encoding="utf-8")
        assert json.loads(text) == a_document("a")
        assert "ä🙂" in text
        assert text.endswith("\n")

    def test_the_output_of_a_link_is_a_copy_of_its_target(self, objects, home, tmp_path):
        (tmp_path / "target").write_bytes(b"content")
        (tmp_path / "link").symlink_to("target")
        outputs = [Output(name=name, path=tmp_path / name, size=7) for name in ("link", "target")]
        result = Result(
            job="j", index=1, claim="a", log=objects.open_log("j", 1, "a"), outputs=outputs, document=a_document("a")
        )

        objects.promote("j", 1, objects.publish(result, holds=always))

        for name in ("link", "target"):
            path = home.objects / "j" / "1" / name
            assert path.read_bytes() == b"content"
            assert not path.is_symlink()

    def test_a_promote_that_died_in_the_middle_is_completed(self, objects, publish, home, tmp_path):
        result = a_result(objects, tmp_path, "a", log=b"out\n", files={})
        generation = objects.publish(result, holds=always)
        published = next(path for path in home.objects.rglob("result.json")).parent
        result.log.rename(published / "stdout.txt")

        objects.promote("j", 1, generation)

        assert objects.read_log("j", 1, "a", start=0) == b"out\n"
        assert objects.read_result("j", 1) == ("a", a_document("a"))

    def test_a_log_is_followed_through_its_move_into_the_result(self, objects, publish, home, tmp_path):
        """A reader may come between the two renames of a promote."""
        result = a_result(objects, tmp_path, "a", log=b"out\n", files={})
        objects.publish(result, holds=always)
        published = next(path for path in home.objects.rglob("result.json")).parent

        result.log.rename(published / "stdout.txt")

        assert objects.read_log("j", 1, "a", start=0) == b"out\n"

    def test_logs_of_earlier_attempts_outlive_a_promote(self, objects, commit):
        append(objects.open_log("j", 1, "first"), b"failed\n")

        commit("second", log=b"worked\n")

        assert objects.read_log("j", 1, "first", start=0) == b"failed\n"


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]
