"""Buckets and objects as Google's API shows them."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from .content import Content
from .objects import Bucket, Stored

_KINDS_OF_LOCATION = {"US": "multi-region", "EU": "multi-region", "ASIA": "multi-region"}


def object_resource(stored: Stored, host: str) -> dict[str, Any]:
    """Return the description of an object; links in it lead to the host that was asked."""
    path = f"b/{stored.bucket}/o/{quote(stored.name, safe='')}"
    media = f"http://{host}/download/storage/v1/{path}?generation={stored.generation}&alt=media"
    content = stored.content
    described = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"http://{host}/storage/v1/{path}",
        "mediaLink": media,
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "storageClass": "STANDARD",
        "size": str(content.size),
        "crc32c": content.crc32c,
        "etag": etag(stored),
        "timeCreated": time_text(stored.created),
        "updated": time_text(stored.updated),
        "timeStorageClassUpdated": time_text(stored.created),
        "timeFinalized": time_text(stored.created),
        **stored.said,
    }
    if content.md5 is not None:
        described["md5Hash"] = content.md5
    if stored.components is not None:
        described["componentCount"] = stored.components
    return described


def bucket_resource(bucket: Bucket, host: str) -> dict[str, Any]:
    """Return the description of a bucket."""
    location = str(bucket.said.get("location", "US")).upper()
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"http://{host}/storage/v1/b/{bucket.name}",
        "projectNumber": "123456789012",
        "storageClass": "STANDARD",
        "locationType": _KINDS_OF_LOCATION.get(location, "region"),
        "etag": "CAE=",
        "timeCreated": time_text(bucket.created),
        "updated": time_text(bucket.created),
        "iamConfiguration": {
            "publicAccessPrevention": "inherited",
            "uniformBucketLevelAccess": {"enabled": True},
        },
        **bucket.said,
        "name": bucket.name,
        "location": location,
        "generation": str(bucket.generation),
        "metageneration": str(bucket.metageneration),
    }


def etag(stored: Stored) -> str:
    """Return what changes whenever an object does."""
    return f"{stored.generation:x}/{stored.metageneration:x}"


def hash_header(content: Content) -> str:
    """Return the sums of content as the X-Goog-Hash header has them."""
    return f"crc32c={content.crc32c}" + (f",md5={content.md5}" if content.md5 else "")


@lru_cache(maxsize=1024)
def time_text(seconds: float) -> str:
    """Return a time as RFC 3339 has it."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
