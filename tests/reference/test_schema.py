"""The schema has all that the reference shows: words for everything, and an exchange for each answer."""

import re
from typing import Any

import pytest

from misar_billing.reference import exchanges
from misar_billing.reference.words import FIELDS, TAGS
from tests.misar_billing.test_schema import schema_as_published
from wallet.api.codes import Code

# Every operation can give these answers alike, so they stand once, as common errors.
COMMON = {"400", "405", "413", "415", "429", "500", "503"}
# Statuses that an operation shares with an unknown path, unless it has a meaning of its own for them.
NO_ADDRESS = "at this address"
JSON = "application/json"


@pytest.fixture
def published(db):
    return schema_as_published()


@pytest.fixture
def operations(published) -> dict[str, Any]:
    return {
        operation["operationId"]: operation
        for methods in published["paths"].values()
        for operation in methods.values()
    }


def answered(operation_id: str) -> set[str]:
    return {str(each.answer.status) for each in exchanges.of(operation_id)}


def test_each_operation_has_a_short_summary_a_description_and_a_tag(operations, subtests):
    summaries = [operation["summary"] for operation in operations.values()]
    assert len(set(summaries)) == len(summaries)
    for name, operation in operations.items():
        with subtests.test(operation=name):
            assert re.fullmatch(r"[A-Z][a-z]+( [A-Za-z-]+){1,4}", operation["summary"])
            assert len(operation["description"]) > 60
            assert len(operation["tags"]) == 1


def test_the_tags_are_described_in_their_order(published, operations):
    assert [tag["name"] for tag in published["tags"]] == list(TAGS)
    assert {operation["tags"][0] for operation in operations.values()} == set(TAGS)
    assert all(tag["description"].endswith(".") for tag in published["tags"])


def test_each_parameter_and_each_field_is_described(published, operations):
    missing = [
        f"{name}.{field}"
        for name, shape in published["components"]["schemas"].items()
        for field, described in shape.get("properties", {}).items()
        if not described.get("description")
    ]
    missing += [
        f"{name}?{parameter['name']}"
        for name, operation in operations.items()
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert missing == []


def test_no_word_is_kept_for_a_field_that_is_not_there(published):
    shapes = published["components"]["schemas"]
    there = {field for shape in shapes.values() for field in shape.get("properties", {})}
    there |= {f"{name}.{field}" for name, shape in shapes.items() for field in shape.get("properties", {})}
    assert set(FIELDS) - there == set()


def test_each_operation_has_a_success(operations):
    for name in operations:
        first = exchanges.of(name)[0]
        assert first.answer.status < 300, f"the reference shows {first.name} of {name} first"


def test_each_status_of_an_operation_has_an_exchange(operations, subtests):
    common = {str(each.answer.status) for each in exchanges.of(None)}
    assert common >= COMMON
    for name, operation in operations.items():
        with subtests.test(operation=name):
            own = {
                status
                for status, response in operation["responses"].items()
                if status not in COMMON and NO_ADDRESS not in response["description"]
            }
            assert own - answered(name) == set()


def test_each_code_that_an_operation_names_has_an_exchange(operations, subtests):
    for name, operation in operations.items():
        found = {
            (str(each.answer.status), each.answer.body.get("code"))
            for each in exchanges.of(name)
            if isinstance(each.answer.body, dict)
        }
        for status, response in operation["responses"].items():
            named = set(re.findall(r"`(\w+)`", response["description"])) & set(Code.values)
            with subtests.test(operation=name, status=status):
                assert {(status, code) for code in named} - found == set()


def test_each_code_has_an_exchange():
    """But `too_slow`, which needs a caller who stops sending, and `conflict`, which no operation has."""
    shown = {
        each.answer.body["code"]
        for each in exchanges.all_exchanges()
        if isinstance(each.answer.body, dict) and "code" in each.answer.body
    }
    assert set(Code.values) - shown == {"too_slow", "conflict"}


def test_the_examples_of_the_schema_are_the_exchanges(operations):
    for name, operation in operations.items():
        for each in exchanges.of(name):
            answer = operation["responses"][str(each.answer.status)]["content"][JSON]
            assert answer["examples"][each.name]["value"] == each.answer.body
            if each.answer.status < 300 and each.request.body is not None:
                asked = operation["requestBody"]["content"][JSON]
                assert asked["examples"][each.name]["value"] == each.request.body


def test_an_exchange_has_a_name_of_its_own_and_no_credential():
    names = [(each.operation, each.name) for each in exchanges.all_exchanges()]
    assert len(set(names)) == len(names)
    text = exchanges.FILE.read_text()
    assert not re.search(r"wsk_[0-9a-f]|Bearer ey|sessionid=[0-9a-z]|testserver", text)
