"""The registry of the tests: what is pushed into it can be asked for by tag, and pulled by digest."""

from __future__ import annotations

import urllib.request

import engine
from gcp.registry import Registry

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def test_an_image_that_was_pushed_is_pulled_by_its_digest(registry: Registry) -> None:
    api = engine.connection()
    image = engine.busybox_image(api)

    pushed = registry.push(api, image, name="tools/busybox", tag="small")
    api.pull(pushed.pinned)
    pulled = api.inspect_image(pushed.pinned)["Id"]
    engine.remove_images(api, pushed.pinned)

    assert pulled == api.inspect_image(image)["Id"]


def test_a_tag_can_be_asked_for_its_digest(registry: Registry) -> None:
    api = engine.connection()
    pushed = registry.push(api, engine.busybox_image(api), name="asked")

    url = f"http://{registry.address}/v2/asked/manifests/{pushed.tag}"
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD", headers={"Accept": _MANIFEST})) as answer:
        digest = answer.headers["Docker-Content-Digest"]

    assert digest == pushed.digest
