"""The served schema names the whole API of the installed SDK."""

import json
import re
from typing import Any

import dagger
import pytest
from dagger.client import gen
from graphql import get_introspection_query

from task_manager.embedded_engine.api.objects import python_name
from task_manager.embedded_engine.api.offered import OFFERED
from task_manager.embedded_engine.schema.build import build_schema
from task_manager.embedded_engine.schema.descriptions import TEXT_FILE, UNSUPPORTED, Descriptions
from task_manager.embedded_engine.schema.generate import DESCRIPTION_FILE, client_source, describe
from tests.embedded_engine.engine import EngineProcess


def test_the_committed_description_is_that_of_the_installed_sdk() -> None:
    assert json.loads(DESCRIPTION_FILE.read_text()) == describe(client_source())


def test_every_field_that_is_offered_is_in_the_schema() -> None:
    fields = json.loads(DESCRIPTION_FILE.read_text())["objects"]
    for kind in OFFERED.values():
        named = {python_name(name) for name in fields[kind.type_name]}
        assert set(kind.fields) <= named, kind.type_name


def test_every_argument_of_an_offered_field_is_taken() -> None:
    described = json.loads(DESCRIPTION_FILE.read_text())["objects"]
    for kind in OFFERED.values():
        for name, member in described[kind.type_name].items():
            method = kind.fields.get(python_name(name))
            if method is not None:
                taken = method.__code__.co_varnames[: method.__code__.co_argcount + method.__code__.co_kwonlyargcount]
                assert {python_name(argument["name"]) for argument in member["args"]} <= set(taken), (kind, name)


def test_names_become_python_names() -> None:
    names = {"withExec": "with_exec", "from": "from_", "import": "import_", "exitCode": "exit_code", "id": "id"}
    assert {name: python_name(name) for name in names} == names


def test_every_type_of_the_sdk_is_in_the_schema() -> None:
    schema = build_schema()
    types = set(re.findall(r"^class ([A-Z]\w*)\((?:Type|Scalar|Enum|Input|Root)\)", client_source(), re.MULTILINE))
    assert "Container" in types
    assert types <= set(schema.type_map)
    assert gen.Container is dagger.Container


@pytest.fixture(scope="module")
def told(engine: EngineProcess) -> dict[str, dict[str, Any]]:
    """What a running session tells of its types, by name."""
    types = engine.post(get_introspection_query(descriptions=True))["data"]["__schema"]["types"]
    return {kind["name"]: kind for kind in types if not kind["name"].startswith("__")}


def test_every_type_and_field_is_described_to_clients(told: dict[str, dict[str, Any]]) -> None:
    assert [name for name, kind in told.items() if not kind["description"]] == []
    fields = [(name, item) for name, kind in told.items() for item in kind["fields"] or kind["enumValues"] or ()]
    assert [(name, item["name"]) for name, item in fields if not item["description"]] == []


def test_every_argument_of_a_supported_field_is_described_to_clients(told: dict[str, dict[str, Any]]) -> None:
    supported = [
        (name, field["name"], argument)
        for name, kind in told.items()
        for field in kind["fields"] or ()
        if field["description"] != UNSUPPORTED
        for argument in field["args"]
    ]
    assert len(supported) > 150
    assert [place for *place, argument in supported if not argument["description"]] == []


def test_exactly_what_is_not_offered_says_so(told: dict[str, dict[str, Any]]) -> None:
    for kind in OFFERED.values():
        offered = {
            field["name"]
            for field in told[kind.type_name]["fields"]
            if field["description"] != UNSUPPORTED and not field["name"].startswith("load")
        }
        assert {python_name(name) for name in offered - {"id"}} == set(kind.fields), kind.type_name
    others = [kind for name, kind in told.items() if kind["kind"] == "OBJECT" and name not in OFFERED]
    assert {field["description"] for kind in others for field in kind["fields"]} == {UNSUPPORTED}
    assert {kind["description"] for kind in others} == {UNSUPPORTED}


def test_every_stored_description_is_of_something_in_the_schema(told: dict[str, dict[str, Any]]) -> None:
    places = {
        f"{name}.{field['name']}.{argument['name']}"
        for name, kind in told.items()
        for field in kind["fields"] or ()
        if Descriptions().is_supported(name, field["name"])
        for argument in field["args"]
    }
    arguments = {place.rpartition(".")[2] for place in places}
    stored = json.loads(TEXT_FILE.read_text())
    assert set(stored["types"]) <= set(told)
    assert set(stored["arguments"]) <= places | arguments
    assert {f"{place}.{name}" for place, names in stored["unsupportedArguments"].items() for name in names} <= places


@pytest.mark.parametrize(
    "call",
    [
        'from(address: "x", registryService: "y")',
        'withExec(args: ["x"], experimentalPrivilegedNesting: true)',
        'withExec(args: ["x"], insecureRootCapabilities: true)',
        'asService(args: ["x"], experimentalPrivilegedNesting: true)',
        'asService(args: ["x"], insecureRootCapabilities: true)',
    ],
)
def test_arguments_that_say_they_are_not_supported_are_refused(engine: EngineProcess, call: str) -> None:
    name, argument = re.findall(r"(\w+)(?=\(| *: *(?:true|\"y\"))", call)
    assert argument in Descriptions().unsupported_arguments("Container", name)
    message = engine.post(f"{{container {{{call} {{id}}}}}}")["errors"][0]["message"]
    assert message.startswith(f"Container.{name} with {argument} is not supported by the embedded engine")
