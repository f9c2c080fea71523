"""Survey: what a listing tells of names, however it is cut into pages."""

from __future__ import annotations

from contracts.fakes import FakeBuckets
from hypothesis import given
from hypothesis import strategies as st

from sparkles.backends.gcp.storage.survey import Listed, Survey
from sparkles.ports.buckets import BucketFile

#: Names of few letters, so that objects are often below each other, and letters before and after the slash.
NAMES = st.text("a/-0", min_size=1, max_size=5)


@given(objects=st.sets(NAMES), wanted=st.sets(NAMES, min_size=1), seen=st.integers(0, 8))
def test_a_listing_tells_what_asking_for_each_name_would_and_nothing_before_it_is_certain(objects, wanted, seen):
    buckets = FakeBuckets()
    for name in {"zzz", *objects}:
        buckets.put(f"gs://bkt/{name}", b"")
    expected = {name: urls(buckets.find([f"gs://bkt/{name}"])[f"gs://bkt/{name}"]) for name in wanted}
    survey = Survey(sorted(wanted))
    listing = [listed(name) for name in sorted(objects) if survey.start <= name < survey.end]

    survey.add(listing[:seen])
    early = {name: urls(files) for name, files in survey.found().items()}
    settled = survey.settled
    survey.add(listing[seen:])
    survey.is_complete = True

    assert early.items() <= expected.items()
    assert settled <= len(early)
    assert {name: urls(files) for name, files in survey.found().items()} == expected


def listed(name: str) -> Listed:
    return Listed(name, BucketFile(url=f"gs://bkt/{name}", generation="1", size=0, crc32c=""))


def urls(files):
    return [file.url for file in files]
