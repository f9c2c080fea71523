"""What the names of images mean to nodes in the cloud: with a real registry, and with strangers who mean no good."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from backends.gcp.image_server import Image, Shelf, an_image, an_index, digest_of, gives_tokens, put, put_index
from backends.gcp.internet import Asked, Internet, Reply, an_internet
from gcp.registry import Registry

from sparkles.backends.gcp import web
from sparkles.backends.gcp.images import RegistryImages
from sparkles.backends.gcp.web import Web
from sparkles.errors import BackendError, RequestError, UnreachableError

OURS = "us-central1-docker.pkg.dev/p/sparkles"
GOOGLES = f"Basic {base64.b64encode(b'oauth2accesstoken:google-token').decode()}"
BEARER = 'Bearer realm="https://{}/token?x=1",service="s",scope="repository:team/tool:pull"'


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAUSES", (0.01, 0.01))


@pytest.fixture
def internet() -> Iterator[Internet]:
    with an_internet() as internet:
        yield internet


@pytest.fixture
def images(internet: Internet) -> RegistryImages:
    """As a user who is signed in with Google has them."""
    return RegistryImages(ours=OURS, web=Web(session=internet.session), token=lambda: "google-token")


@pytest.fixture
def plain() -> RegistryImages:
    """As a user who is not signed in has them."""
    return RegistryImages(ours=OURS, token=lambda: None)


def nothing(*_: int) -> None:
    pass


# A real registry


def test_a_tag_is_pinned_to_what_it_means_now(plain, registry: Registry) -> None:
    first, second = an_image(), an_image(author="me")
    put(registry.address, "team/moves", "1", first)

    assert plain.pin(f"{registry.address}/team/moves:1") == f"{registry.address}/team/moves@{first.digest}"
    put(registry.address, "team/moves", "1", second)
    assert plain.pin(f"{registry.address}/team/moves:1") == f"{registry.address}/team/moves@{second.digest}"


def test_an_index_is_pinned_as_a_whole_if_it_has_what_nodes_run(plain, registry: Registry) -> None:
    platforms = {"linux/amd64": an_image(), "linux/arm64": an_image("arm64"), "unknown/unknown": an_image("unknown")}
    digest = put_index(registry.address, "team/many", "latest", platforms)

    pinned = plain.pin(f"{registry.address}/team/many", architecture="arm64")

    assert pinned == f"{registry.address}/team/many@{digest}"
    with pytest.raises(RequestError, match=r"is made for linux/amd64, linux/arm64; nodes of .* run linux/s390x"):
        plain.pin(f"{registry.address}/team/many", architecture="s390x")


@pytest.mark.parametrize(("architecture", "system"), [("arm64", "linux"), ("amd64", "windows")])
def test_an_image_for_other_machines_is_a_wrong_request(plain, registry: Registry, architecture, system) -> None:
    image = an_image(architecture, system)
    put(registry.address, "team/other", system, image)
    name = f"{registry.address}/team/other"
    says = rf"is made for {system}/{architecture}; .*docker build --platform linux/amd64"

    with pytest.raises(RequestError, match=says):
        plain.pin(f"{name}:{system}", architecture="amd64")
    with pytest.raises(RequestError, match=says):
        plain.fetch(f"{name}@{image.digest}", nothing, architecture="amd64")


@pytest.mark.parametrize("name", ["team/tool:nosuch", "nobody/nothing"])
def test_a_name_that_the_registry_does_not_have_is_a_wrong_request(plain, registry: Registry, name) -> None:
    put(registry.address, "team/tool", "1", an_image())

    with pytest.raises(RequestError, match=rf"there is none of this name at {registry.address}; .*docker push {OURS}/"):
        plain.pin(f"{registry.address}/{name}")


def test_a_pinned_image_is_not_looked_for_until_nodes_need_it(plain, registry: Registry) -> None:
    pinned = f"{registry.address}/team/gone@sha256:{'7' * 64}"

    assert plain.pin(pinned) == pinned
    with pytest.raises(RequestError, match="none of this name"):
        plain.fetch(pinned, nothing)


def test_what_was_just_pinned_is_not_asked_for_again(images, internet) -> None:
    internet.servers["quay.io"] = Shelf({"1": an_image()})

    pinned = images.pin("quay.io/team/tool:1", architecture="amd64")
    asked = len(internet.seen)
    images.fetch(pinned, nothing, architecture="amd64")

    assert len(internet.seen) == asked


def test_an_image_of_one_machine_is_to_be_pushed(plain) -> None:
    with pytest.raises(RequestError, match=r"only on the machine .*gcloud auth configure-docker us-central1-docker\."):
        plain.pin(f"sha256:{'0' * 64}")


# Who is told what


def test_a_registry_that_gives_tokens_to_anybody_is_asked_for_one(images, internet) -> None:
    internet.servers["quay.io"] = Shelf({"1": an_image()}, wants="Bearer t", challenge=BEARER.format("auth.quay.io"))
    internet.servers["auth.quay.io"] = gives_tokens("t")

    assert images.pin("quay.io/team/tool:1").endswith(an_image().digest)
    assert internet.told("auth.quay.io") == {None}
    assert internet.told("quay.io") == {None, "Bearer t"}


@pytest.mark.parametrize("host", ["us-docker.pkg.dev", "gcr.io", "eu.gcr.io"])
def test_googles_registries_are_shown_googles_token(images, internet, host) -> None:
    def server(asked: Asked) -> Reply:
        shelf = Shelf({"1": an_image()}, wants="Bearer t", challenge=BEARER.format(host))
        return (gives_tokens("t", to=[GOOGLES]) if asked.path.startswith("/token") else shelf)(asked)

    internet.servers[host] = server

    assert images.pin(f"{host}/team/tool:1") == f"{host}/team/tool@{an_image().digest}"


def test_googles_token_is_a_password_where_one_is_wanted(images, internet) -> None:
    internet.servers["gcr.io"] = Shelf({"1": an_image()}, wants=GOOGLES, challenge='Basic realm="r"')

    assert images.pin("gcr.io/team/tool:1").endswith(an_image().digest)


@pytest.mark.parametrize(
    "host", ["quay.io", "gcr.io.evil.com", "evilgcr.io", "pkg.dev.evil.com", "us-docker.pkg.dev:8443", "r.io:443"]
)
@pytest.mark.parametrize(
    "challenge", ['Basic realm="r"', BEARER.format("us-docker.pkg.dev"), BEARER.format("evil.com")]
)
def test_nobody_else_is_shown_googles_token(images, internet, host, challenge) -> None:
    internet.servers[host] = Shelf({"1": an_image()}, wants="all", challenge=challenge)
    internet.servers["us-docker.pkg.dev"] = internet.servers["evil.com"] = gives_tokens("t")

    with pytest.raises(BackendError, match="none of this name that everybody may use"):
        images.pin(f"{host}/team/tool:1")

    assert not any("Basic" in str(asked.authorization) for asked in internet.seen)


@pytest.mark.parametrize("realm", ["evil.com", "us-docker.pkg.dev@evil.com", "evil.com\\\\@us-docker.pkg.dev"])
def test_a_google_registry_that_names_a_stranger_for_tokens_does_not_make_us_tell_it(images, internet, realm) -> None:
    internet.servers["us-docker.pkg.dev"] = Shelf({}, wants="x", challenge=BEARER.format(realm))
    internet.servers["evil.com"] = gives_tokens("t", to=[None, GOOGLES])

    with pytest.raises(BackendError):
        images.pin("us-docker.pkg.dev/team/tool:1")

    assert not any("Basic" in str(asked.authorization) for asked in internet.seen)


def test_a_redirect_takes_no_secret_along(images, internet) -> None:
    image = an_image()

    def server(asked: Asked) -> Reply:
        if "/blobs/" in asked.path and asked.authorization == GOOGLES:
            return 307, {"Location": "https://storage.example.com/v2/x/blobs/" + digest_of(image.config)}, b""
        return Shelf({"1": image}, wants=GOOGLES, challenge='Basic realm="r"')(asked)

    internet.servers["gcr.io"] = server
    internet.servers["storage.example.com"] = Shelf({"1": image})

    assert images.pin("gcr.io/team/tool:1", architecture="amd64").endswith(image.digest)
    assert internet.told("storage.example.com") == {None}


@pytest.mark.parametrize("place", ["http://gcr.io/v2/x", "http://127.0.0.1:1/x", "file:///etc/passwd"])
def test_nobody_sends_us_to_where_anybody_could_listen(images, internet, place) -> None:
    internet.servers["quay.io"] = lambda _: (302, {"Location": place}, b"")

    with pytest.raises(UnreachableError, match="where anybody could listen"):
        images.pin("quay.io/team/tool:1")


def test_addresses_that_are_none_are_said(images, internet) -> None:
    internet.servers["quay.io"] = lambda _: (302, {"Location": "https://[/x"}, b"")
    internet.servers["ghcr.io"] = Shelf({}, wants="x", challenge=BEARER.format("["))

    for name in ("quay.io/team/tool", "ghcr.io/team/tool"):
        with pytest.raises(UnreachableError, match="cannot be asked"):
            images.pin(name)


def test_redirects_end(images, internet) -> None:
    internet.servers["quay.io"] = lambda asked: (302, {"Location": asked.path + "x"}, b"")

    with pytest.raises(UnreachableError, match="from one place to the next"):
        images.pin("quay.io/team/tool:1")


def test_what_netrc_holds_is_not_told(images, internet, tmp_path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("machine quay.io login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    internet.servers["quay.io"] = Shelf({"1": an_image()})

    images.pin("quay.io/team/tool:1")

    assert internet.told("quay.io") == {None}


def test_who_may_not_use_an_image_at_google_is_told_what_to_do(images, internet) -> None:
    internet.servers["us-docker.pkg.dev"] = lambda _: (403, {}, b"")

    with pytest.raises(BackendError, match=r"application-default login.*roles/artifactregistry\.reader"):
        images.pin("us-docker.pkg.dev/p/r/tool:1")


# Docker Hub


def test_docker_hub_says_what_a_tag_means_and_the_mirror_what_it_is(images, internet) -> None:
    new, old = an_image(author="new"), an_image(author="old")
    internet.servers["registry-1.docker.io"] = Shelf({"4": new})
    internet.servers["mirror.gcr.io"] = Shelf({"4": old, "other": new})

    assert images.pin("r-base:4", architecture="amd64") == f"r-base@{new.digest}"

    assert [(asked.host, asked.method) for asked in internet.seen] == [
        ("registry-1.docker.io", "HEAD"),
        ("mirror.gcr.io", "GET"),
        ("mirror.gcr.io", "GET"),
    ]
    assert internet.seen[0].path == "/v2/library/r-base/manifests/4"


def test_the_mirror_is_asked_as_anybody(images, internet) -> None:
    internet.servers["registry-1.docker.io"] = Shelf({"4": an_image()})
    shelf = Shelf({"4": an_image()}, wants="Bearer t", challenge=BEARER.format("mirror.gcr.io"))
    tokens = gives_tokens("t", to=[None])
    internet.servers["mirror.gcr.io"] = lambda asked: (tokens if asked.path.startswith("/token") else shelf)(asked)

    assert images.pin("r-base:4", architecture="amd64").endswith(an_image().digest)
    assert internet.told("mirror.gcr.io") == {None, "Bearer t"}


def test_what_the_mirror_does_not_have_comes_from_docker_hub(images, internet) -> None:
    internet.servers["registry-1.docker.io"] = Shelf({"latest": an_image()})
    internet.servers["mirror.gcr.io"] = Shelf({})

    assert images.pin("me/tool") == images.pin("docker.io/me/tool").removeprefix("docker.io/")


def test_a_docker_hub_that_was_asked_too_often_is_replaced_by_the_mirror(images, internet) -> None:
    internet.servers["registry-1.docker.io"] = lambda _: (429, {"Retry-After": "21600"}, b"")
    internet.servers["mirror.gcr.io"] = Shelf({"latest": an_image()})

    assert images.pin("r-base").endswith(an_image().digest)


def test_a_docker_hub_that_was_asked_too_often_is_said_where_the_mirror_knows_nothing(images, internet) -> None:
    internet.servers["registry-1.docker.io"] = lambda _: (429, {"Retry-After": "21600"}, b"")
    internet.servers["mirror.gcr.io"] = Shelf({})

    with pytest.raises(UnreachableError, match=r"docker\.io cannot be asked: it was asked too often"):
        images.pin("me/tool")


# Answers that are wrong, late or none


def test_a_registry_that_is_busy_is_asked_again(images, internet) -> None:
    answers = [(503, {}, b""), (429, {"Retry-After": "0"}, b"")]
    shelf = Shelf({"1": an_image()})
    internet.servers["quay.io"] = lambda asked: answers.pop() if answers else shelf(asked)

    assert images.pin("quay.io/team/tool:1").endswith(an_image().digest)


def test_a_registry_that_says_no_digest_is_asked_for_the_whole(images, internet) -> None:
    internet.servers["quay.io"] = Shelf({"1": an_image()}, names=False)

    assert images.pin("quay.io/team/tool:1").endswith(an_image().digest)


def test_a_registry_that_does_not_answer_is_said(plain) -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1 cannot be asked: .*refused"):
        plain.pin("127.0.0.1:1/x")


def _lies(image: Image, **replies: bytes) -> Shelf:
    """Return a registry that gives out something else for one kind of thing."""
    shelf = Shelf({"1": image})

    def server(asked: Asked) -> Reply:
        status, headers, body = shelf(asked)
        kind = asked.path.rsplit("/", 2)[1]
        return status, headers, replies.get(kind, body) if asked.method == "GET" else body

    return server  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(an_image("arm64").manifest, "is something else", id="another image"),
        pytest.param(b"", "is something else", id="nothing"),
        pytest.param(b"x" * (5 << 20), "too large", id="too much"),
    ],
)
@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_what_does_not_have_its_digest_is_not_believed(images, internet, kind, reply, says) -> None:
    internet.servers["quay.io"] = _lies(an_image(), **{kind: reply})

    with pytest.raises(UnreachableError, match=says):
        images.pin("quay.io/team/tool:1", architecture="amd64")


@pytest.mark.parametrize(
    "manifest",
    [b"no json", b"[]", b"{}", b'{"config": 1}', b'{"config": {"digest": "../x"}}', b'{"manifests": 1}',
     b'{"manifests": [1]}', b"[" * 100_000],
)  # fmt: skip
def test_what_describes_no_image_is_said(images, internet, manifest) -> None:
    internet.servers["quay.io"] = Shelf({"1": Image(config=b"{}", manifest=manifest)})

    with pytest.raises(UnreachableError, match=r"cannot be asked: .*(does not describe an image|is no digest)"):
        images.pin("quay.io/team/tool:1")


@pytest.mark.parametrize("said", [{}, {"token": 1}, {"token": "a\r\nX: y"}, ["token"], {"token": None}])
def test_a_token_that_is_none_is_said(images, internet, said) -> None:
    internet.servers["quay.io"] = Shelf({}, wants="Bearer t", challenge=BEARER.format("auth.quay.io"))
    internet.servers["auth.quay.io"] = lambda _: (200, {}, json.dumps(said).encode())

    with pytest.raises(UnreachableError, match="gave none"):
        images.pin("quay.io/team/tool:1")


def test_an_answer_that_never_ends_is_cut_off(images, internet, monkeypatch) -> None:
    monkeypatch.setattr(web, "_ANSWER", 0.0)
    internet.servers["quay.io"] = Shelf({"1": an_image()})

    with pytest.raises(UnreachableError, match="does not end"):
        images.pin("quay.io/team/tool:1")


def test_an_index_of_nothing_is_pinned_without_a_claim_about_it(images, internet) -> None:
    index = Image(config=b"{}", manifest=an_index({}))
    internet.servers["quay.io"] = Shelf({"1": index})

    assert images.pin("quay.io/team/tool:1", architecture="amd64").endswith(index.digest)
