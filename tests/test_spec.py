"""Spec: uploads and durations as they are written."""

from __future__ import annotations

import pytest

from sparkles.spec import PinnedFile, Upload, is_duration, seconds, upload_of


@pytest.mark.parametrize(
    ("entry", "upload"),
    [
        pytest.param("fit.py", Upload(src="fit.py", dest=None), id="src"),
        pytest.param("a/b:c/d", Upload(src="a/b", dest="c/d"), id="src:dest"),
        pytest.param("a:b:c", Upload(src="a:b", dest="c"), id="the last colon counts"),
        pytest.param("gs://b/o", Upload(src="gs://b/o", dest=None), id="an object"),
        pytest.param("gs://b/o:d", Upload(src="gs://b/o", dest="d"), id="an object with a dest"),
        pytest.param({"src": "a:b"}, Upload(src="a:b", dest=None), id="a mapping"),
        pytest.param(
            {"src": "a", "dest": "b", "sha256": "x", "executable": True},
            Upload(src="a", dest="b", file=PinnedFile(content="x", executable=True)),
            id="pinned",
        ),
        pytest.param(
            {"src": "{x}", "files": [{"src": "1", "sha256": "x"}]},
            Upload(src="{x}", dest=None, files={"1": PinnedFile(content="x")}),
            id="pinned, for each row",
        ),
    ],
)
def test_an_upload_is_read(entry, upload) -> None:
    assert upload_of(entry) == upload


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0.0), ("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("7d", 604800.0), ("1d2h3m4s", 93784.0)],
)
def test_a_duration_is_read(text, expected) -> None:
    assert is_duration(text)
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "h", "1.5h", "1h ", "-1h", "1w", "1H"])
def test_what_is_no_duration(text) -> None:
    assert not is_duration(text)
