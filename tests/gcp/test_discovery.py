"""The checker must refuse what Google's document refuses: else all that passes it proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client: pip install '.[test]'")

from gcp import fields
from gcp.discovery import Document, Method

STORAGE = Document.load("storage.v1")
COMPUTE = Document.load("compute.v1")
INSERT = STORAGE.methods["storage.objects.insert"]
COMPOSE = STORAGE.methods["storage.objects.compose"]
LIST = STORAGE.methods["storage.objects.list"]


def wrong_query(method: Method, *query: tuple[str, str]) -> list[str]:
    return list(STORAGE.wrong_parameters(method, dict.fromkeys(method.path_names, "x"), query))


@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        ("GET", "/storage/v1/b/k/o/a%2Fb", "storage.objects.get"),
        ("GET", "/storage/v1/b/k/o/x%2Facl", "storage.objects.get"),
        ("GET", "/storage/v1/b/k/o/x/acl", "storage.objectAccessControls.list"),
        ("GET", "/download/storage/v1/b/k/o/x", "storage.objects.get"),
        ("POST", "/upload/storage/v1/b/k/o", "storage.objects.insert"),
        ("POST", "/resumable/upload/storage/v1/b/k/o", "storage.objects.insert"),
        ("POST", "/storage/v1/b/k/o/x/rewriteTo/b/l/o/y", "storage.objects.rewrite"),
    ],
)
def test_a_request_leads_to_its_method(verb: str, path: str, method: str) -> None:
    route = STORAGE.route(verb, path)

    assert route is not None
    assert route.method.id == method


def test_names_in_a_path_are_decoded() -> None:
    route = STORAGE.route("GET", "/storage/v1/b/k/o/a%2Fb%20%C3%BC%3F%25")

    assert route is not None
    assert route.values == {"bucket": "k", "object": "a/b ü?%"}


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "/storage/v1/b/k/objects"), ("PUT", "/storage/v1/b/k/o"), ("GET", "/storage/v1/b//o"), ("GET", "/")],
)
def test_what_no_method_is_for_leads_nowhere(verb: str, path: str) -> None:
    assert STORAGE.route(verb, path) is None


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        (("ifGenerationMach", "0"), "ifGenerationMach: there is no such parameter"),
        (("projection", "some"), "projection: 'some' is none of full, noAcl"),
        (("ifGenerationMatch", "new"), "ifGenerationMatch: 'new' is not a whole number"),
        (("ifGenerationMatch", str(2**63)), "is not in"),
    ],
)
def test_wrong_parameters_are_named(query: tuple[str, str], wrong: str) -> None:
    (found,) = wrong_query(INSERT, query)

    assert found.startswith("storage.objects.insert: ")
    assert wrong in found


@pytest.mark.parametrize(("name", "text"), [("maxResults", "-1"), ("maxResults", "many"), ("versions", "yes")])
def test_a_parameter_of_the_wrong_type_is_refused(name: str, text: str) -> None:
    assert wrong_query(LIST, (name, text))


def test_a_parameter_that_is_not_repeated_comes_once() -> None:
    assert wrong_query(LIST, ("prefix", "a"), ("prefix", "b")) == [
        "storage.objects.list: prefix: is given more than once"
    ]
    assert not wrong_query(
        STORAGE.methods["storage.buckets.testIamPermissions"], ("permissions", "a"), ("permissions", "b")
    )


def test_a_required_parameter_is_missed() -> None:
    assert wrong_query(STORAGE.methods["storage.buckets.list"]) == ["storage.buckets.list: project: is required"]


def test_what_all_methods_take_is_known() -> None:
    assert not wrong_query(LIST, ("alt", "json"), ("fields", "items"), ("prettyPrint", "false"), ("$.xgafv", "1"))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"nmae": "x"}, "storage.objects.insert.nmae: there is no such field"),
        ({"metadata": {"a": 1}}, "storage.objects.insert.metadata.a: 1 is not a string"),
        ({"metadata": "a"}, "storage.objects.insert.metadata: 'a' is not an object"),
        ({"temporaryHold": "true"}, "'true' is not true or false"),
        ({"componentCount": "2"}, "'2' is not an integer"),
        ({"customTime": "yesterday"}, "'yesterday' is not of the format date-time"),
        ({"customTime": "2026-02-30T00:00:00Z"}, "is no time"),
        ({"acl": {}}, "{} is not an array"),
        ({"acl": [{"role": 1}]}, "storage.objects.insert.acl[0].role: 1 is not a string"),
    ],
)
def test_a_wrong_body_is_refused(body: Any, wrong: str) -> None:
    (found,) = STORAGE.wrong_request(INSERT, body)

    assert wrong in found


def test_a_field_that_a_method_requires_is_missed() -> None:
    assert list(STORAGE.wrong_request(COMPOSE, {"destination": {}})) == [
        "storage.objects.compose.sourceObjects: is required"
    ]
    assert list(STORAGE.wrong_request(COMPOSE, {"sourceObjects": [{"generation": "1"}]})) == [
        "storage.objects.compose.sourceObjects[0].name: is required"
    ]


def test_requests_are_read_as_leniently_as_google_reads_them() -> None:
    body = {"name": "x", "metadata": {"gone": None}, "contentType": None, "generation": 12, "size": "5"}

    assert not list(STORAGE.wrong_request(INSERT, body))


def test_a_method_without_a_body_gets_none() -> None:
    assert list(STORAGE.wrong_request(LIST, {"prefix": "a"})) == ["storage.objects.list: takes no body"]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"items": [{"name": "x", "sise": "1"}]}, "items[0].sise: there is no such field"),
        ({"items": [{"generation": 12}]}, "12 is not a string"),
        ({"items": [{"contentType": None}]}, "None is not a string"),
        ({"prefixes": [1]}, "prefixes[0]: 1 is not a string"),
        (None, "the answer lacks a body"),
    ],
)
def test_a_wrong_answer_is_caught(body: Any, wrong: str) -> None:
    (found,) = STORAGE.wrong_response(LIST, body)

    assert wrong in found


def test_an_answer_where_none_is_due_is_caught() -> None:
    assert list(STORAGE.wrong_response(STORAGE.methods["storage.objects.delete"], {})) == [
        "storage.objects.delete: the answer has a body"
    ]


def test_another_api_is_checked_likewise() -> None:
    route = COMPUTE.route("POST", "/compute/v1/projects/p/regions/us-central1/instanceGroupManagers")

    assert route is not None
    assert route.method.id == "compute.regionInstanceGroupManagers.insert"
    assert not list(COMPUTE.wrong_request(route.method, {"name": "g", "targetSize": 0, "status": {"isStable": True}}))
    assert list(COMPUTE.wrong_request(route.method, {"targetSize": "0"}))
    assert list(COMPUTE.wrong_request(route.method, {"distributionPolicy": {"targetShape": "SOME"}}))
    assert list(COMPUTE.wrong_parameters(route.method, {"project": "P P", "region": "r"}, ()))


@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        ("GET", "/v1/projects/p/secrets/s", "secretmanager.projects.secrets.get"),
        ("POST", "/v1/projects/p/secrets/s:addVersion", "secretmanager.projects.secrets.addVersion"),
        ("GET", "/v1/projects/p/secrets/s/versions", "secretmanager.projects.secrets.versions.list"),
        ("GET", "/v1/projects/p/locations/l", "secretmanager.projects.locations.get"),
    ],
)
def test_a_name_of_several_words_leads_to_its_method(verb: str, path: str, method: str) -> None:
    route = Document.load("secretmanager.v1").route(verb, path)

    assert route is not None
    assert route.method.id == method


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("items(name,size),next", {"items": [{"name": "a", "size": 1}], "next": "t"}),
        ("items/name", {"items": [{"name": "a"}]}),
        ("items(inner/x)", {"items": [{"inner": {"x": 1}}]}),
        ("next, none", {"next": "t"}),
        ("*", {"items": [{"name": "a", "size": 1, "inner": {"x": 1, "y": 2}}], "next": "t"}),
    ],
)
def test_a_mask_keeps_what_it_names(text: str, kept: Any) -> None:
    answer = {"items": [{"name": "a", "size": 1, "inner": {"x": 1, "y": 2}}], "next": "t"}

    assert fields.keep(answer, fields.mask(text)) == kept


@pytest.mark.parametrize("text", ["items(name", "items)", ",", "(name)"])
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(fields.MaskError):
        fields.mask(text)
