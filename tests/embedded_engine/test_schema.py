"""The served schema names the whole API of the installed SDK."""

import json
import re

import dagger
from dagger.client import gen

from task_manager.embedded_engine.api.container import Container
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import ApiObject, python_name
from task_manager.embedded_engine.api.query import Host, Query
from task_manager.embedded_engine.api.reading import Stat
from task_manager.embedded_engine.api.service import Service
from task_manager.embedded_engine.api.values import CacheVolume, EnvVariable, Label, Port, Secret
from task_manager.embedded_engine.schema.build import build_schema
from task_manager.embedded_engine.schema.generate import DESCRIPTION_FILE, client_source, describe

OBJECTS: tuple[type[ApiObject], ...] = (
    *(Container, Directory, File, Stat, Host, Query, Service),
    *(CacheVolume, EnvVariable, Label, Port, Secret),
)


def test_the_committed_description_is_that_of_the_installed_sdk() -> None:
    assert json.loads(DESCRIPTION_FILE.read_text()) == describe(client_source())


def test_every_field_that_is_offered_is_in_the_schema() -> None:
    fields = json.loads(DESCRIPTION_FILE.read_text())["objects"]
    for kind in OBJECTS:
        named = {python_name(name) for name in fields[kind.type_name]}
        assert set(kind.fields) <= named, kind.type_name


def test_every_argument_of_an_offered_field_is_taken() -> None:
    described = json.loads(DESCRIPTION_FILE.read_text())["objects"]
    for kind in OBJECTS:
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
