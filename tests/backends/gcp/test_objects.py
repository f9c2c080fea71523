"""Objects in a bucket: the contract, against the simulator, and what people see of it."""

from __future__ import annotations

from contracts.objects import ObjectStoreContract, a_result, always, append, come, wait_until


class TestBucketObjects(ObjectStoreContract):
    pass


def test_results_are_downloaded_by_rsync(objects, bucket) -> None:
    assert objects.url("my-job") == f"gs://{bucket}/my/prefix/my-job"
    assert objects.download_line("my-job") == f"gsutil rsync -r gs://{bucket}/my/prefix/my-job DEST_DIR"


def test_without_a_prefix_names_begin_with_the_job(open_objects, bucket) -> None:
    objects = open_objects(prefix="")
    objects.write_manifest("j", 1, "text")

    assert objects.url("j") == f"gs://{bucket}/j"
    assert objects.read_manifest("j", 1) == "text"


def test_below_a_job_there_is_nothing_but_numbered_folders(objects, names, tmp_path) -> None:
    objects.write_manifest("j", 1, "text")
    for index in (1, 2):
        result = a_result(
            objects, tmp_path / str(index), f"claim-{index}", index=index, log=b"out\n", files={"x": b"1"}
        )
        objects.promote("j", index, objects.publish(result, holds=always))
    append(objects.open_log("j", 3, "c"), b"running\n")
    come(objects, "c", b"running\n", index=3)

    assert names("my/prefix/j/") == [
        f"my/prefix/j/{index}/{name}" for index in (1, 2) for name in ("result.json", "stdout.txt", "x")
    ]


def test_a_finished_task_leaves_no_chunks_of_its_log_and_no_file_on_the_node(objects, names, tmp_path) -> None:
    result = a_result(objects, tmp_path, "a", log=b"out\n", files={})
    come(objects, "a", b"out\n")
    before = names("my/prefix/.sparkles/")

    objects.promote("j", 1, objects.publish(result, holds=always))

    assert before == ["my/prefix/.sparkles/jobs/j/logs/1/a/000000000000000"]
    wait_until(lambda: not names("my/prefix/.sparkles/"))
    wait_until(lambda: not result.log.exists())


def test_chunks_that_a_dead_worker_left_go_when_another_process_promotes(open_objects, names, tmp_path) -> None:
    worker, client = open_objects("worker"), open_objects("client", spool=None, staging=None)
    result = a_result(worker, tmp_path, "a", log=b"out\n", files={})
    come(worker, "a", b"out\n")
    generation = worker.publish(result, holds=always)

    client.promote("j", 1, generation)

    assert names("my/prefix/.sparkles/") == []
    assert client.read_log("j", 1, generation, start=0) == b"out\n"


def test_thousands_of_files_are_listed_by_pages_and_removed(objects, names, written, tmp_path, storage) -> None:
    files = {f"{number:05d}": b"" for number in range(1_100)}
    result = a_result(objects, tmp_path, "a", files=files)
    generation = objects.publish(result, holds=always)
    storage.forget()

    assert objects.publish(result, holds=always) != generation
    assert len(objects.read_result("j", 1)[1]["files"]) == 1_100
    assert written() == ["my/prefix/j/1/result.json"], "what is there as it should be is not sent again"
    objects.remove_results("j")

    assert names() == []


def test_what_a_batch_could_not_delete_is_deleted_after_all(objects, names, storage, tmp_path) -> None:
    result = a_result(objects, tmp_path, "a", files={str(number): b"" for number in range(250)})
    objects.publish(result, holds=always)
    storage.faults.fail("storage.objects.delete", 503, times=30)

    objects.remove_results("j", [1])

    assert names() == []


def test_results_of_many_tasks_are_removed_by_index(objects, tmp_path) -> None:
    for index in range(1, 5):
        objects.publish(a_result(objects, tmp_path, f"c{index}", index=index, files={}), holds=always)

    objects.remove_results("j", [1, 3, *range(1000, 1200)])

    assert objects.results("j") == [2, 4]


def test_a_manifest_that_another_apply_wrote_is_replaced(open_objects) -> None:
    for name, text in (("a", "first"), ("b", "second"), ("c", "second")):
        open_objects(name).write_manifest("j", 1, text)

    assert open_objects("d").read_manifest("j", 1) == "second"
