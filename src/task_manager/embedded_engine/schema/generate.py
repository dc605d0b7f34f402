"""Reads the Dagger API's names and types off the installed Python SDK.

The SDK's generated client carries, per method, the GraphQL field, the arguments' names, types and defaults, and the
type
that comes back. These facts are written to `api.json`, from which the served schema is built. Run after an SDK update:

    python -m task_manager.embedded_engine.schema.generate
"""

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DESCRIPTION_FILE = Path(__file__).with_name("api.json")
_SCALARS = {"str": "String", "int": "Int", "bool": "Boolean", "float": "Float"}
_ABSENT = "absent"
_IDENTITY = {"type": "ID!", "args": []}


def client_source() -> str:
    """Return the text of the installed SDK's generated client.

    Raises:
        ModuleNotFoundError: The SDK is not installed.
    """
    spec = importlib.util.find_spec("dagger.client.gen")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("dagger.client.gen")
    return Path(spec.origin).read_text(encoding="utf-8")


def describe(source: str) -> dict[str, Any]:
    """Return the API's description: scalars, enums, inputs, interfaces and objects, each by name, in sorted order.

    Args:
        source: The text of `dagger.client.gen`.
    """
    reader = _ClientReader(ast.parse(source))
    return {
        "scalars": sorted(reader.scalars),
        "enums": {name: reader.enum_members(name) for name in sorted(reader.enums)},
        "inputs": {name: reader.input_fields(name) for name in sorted(reader.inputs)},
        "interfaces": {name: reader.fields(f"_{name}Client") for name in sorted(reader.interfaces)},
        "objects": {name: reader.fields(name) for name in sorted(reader.objects)},
    }


class _ClientReader:
    """Sorts the client's classes by kind and reads each one's members."""

    def __init__(self, module: ast.Module) -> None:
        self._classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
        bases = {name: {ast.unparse(base) for base in node.bases} for name, node in self._classes.items()}
        self.scalars = {name for name in bases if "Scalar" in bases[name]}
        self.enums = {name for name in bases if "Enum" in bases[name]}
        self.inputs = {name for name in bases if "Input" in bases[name]}
        self.interfaces = {name for name in bases if "Protocol" in bases[name]}
        self.objects = {name for name in bases if bases[name] & {"Type", "Root"} and not name.startswith("_")}

    def enum_members(self, name: str) -> list[str]:
        assignments = (node for node in self._classes[name].body if isinstance(node, ast.Assign))
        return [ast.literal_eval(node.value) for node in assignments]

    def input_fields(self, name: str) -> list[dict[str, Any]]:
        fields = (node for node in self._classes[name].body if isinstance(node, ast.AnnAssign))
        return [self._argument(_camel(ast.unparse(f.target)), f.annotation, self._default(f.value)) for f in fields]

    def fields(self, name: str) -> dict[str, Any]:
        described = {}
        for method in self._methods(name):
            if (selection := _selection(method)) is not None:
                described[selection] = self._field(name, method)
        described.setdefault("id", _IDENTITY)
        return dict(sorted(described.items()))

    def _methods(self, name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in self._classes[name].body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                yield node

    def _field(self, owner: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
        return {"type": self._result(owner, method), "args": self._arguments(method)}

    def _result(self, owner: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        if method.name == "id" or (isinstance(method, ast.AsyncFunctionDef) and _is_self(method)):
            # `sync`, `start` and `stop` answer with an id, which the SDK loads the object from.
            return "ID!"
        if method.returns is None:
            raise ValueError(f"{owner}.{method.name} states no result")
        return self._type(method.returns, owner, ids_as_objects=True)

    def _arguments(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> list[dict[str, Any]]:
        annotations = {a.arg: a.annotation for a in (*method.args.args, *method.args.kwonlyargs)}
        described = []
        for call in (node for node in ast.walk(method) if isinstance(node, ast.Call) and _is_arg(node)):
            name, value, *default = call.args
            annotation = annotations[
                next(n.id for n in ast.walk(value) if isinstance(n, ast.Name) and n.id in annotations)
            ]
            described.append(
                self._argument(ast.literal_eval(name), annotation, self._default(default[0] if default else None))
            )
        return described

    def _argument(self, name: str, annotation: ast.expr | None, default: object) -> dict[str, Any]:
        if annotation is None:
            raise ValueError(f"the argument {name} states no type")
        argument: dict[str, Any] = {"name": name, "type": self._type(annotation, "", ids_as_objects=False)}
        if default not in (_ABSENT, None):
            argument["default"] = default
        if default != _ABSENT:
            argument["type"] = argument["type"].removesuffix("!")
        return argument

    def _default(self, node: ast.expr | None) -> object:
        if node is None:
            return _ABSENT
        if isinstance(node, ast.Attribute):
            return {"enum": node.attr}
        return ast.literal_eval(node)

    def _type(self, annotation: ast.expr, owner: str, *, ids_as_objects: bool) -> str:
        text = ast.unparse(annotation).replace("'", "").replace('"', "")
        optional = text.endswith(" | None")
        text = text.removesuffix(" | None")
        if text.startswith("list["):
            inner = self._named(text[5:-1], owner, ids_as_objects=ids_as_objects)
            return f"[{inner}!]" + ("" if optional else "!")
        return self._named(text, owner, ids_as_objects=ids_as_objects) + ("" if optional else "!")

    def _named(self, name: str, owner: str, *, ids_as_objects: bool) -> str:
        name = owner if name == "Self" and owner else name
        if name in _SCALARS:
            return _SCALARS[name]
        if name in self.scalars | self.enums | self.inputs or ids_as_objects:
            return name
        return "ID"


def _is_self(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return method.returns is not None and ast.unparse(method.returns) == "Self"


def _is_arg(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Arg"


def _selection(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
        match ast.unparse(call.func), call.args:
            case ("self._select", [ast.Constant(value=str(field)), *_]):
                return field
            case ("self._ctx.execute_sync", [_, ast.Constant(value=str(field)), *_]):
                return field
            case ("self._ctx.select_id", _):
                return method.name
    return None


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def main() -> None:
    """Write the description of the installed SDK's API."""
    text = json.dumps(describe(client_source()), indent=1, sort_keys=True) + "\n"
    DESCRIPTION_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{DESCRIPTION_FILE.name}: {len(text)} bytes\n")


if __name__ == "__main__":
    main()
