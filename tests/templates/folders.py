"""Folders of templates that tests write."""

import json
from collections.abc import Mapping
from pathlib import Path

MINIMAL = """\
id: greet
name: Greet
definition:
  steps:
    - {id: hello, image: busybox, command: [echo, hello]}
"""


def write(folder: Path, files: Mapping[str, object]) -> Path:
    """Write files, texts as they are and other data as JSON (which is YAML, too)."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return folder


def minimal(**changes: object) -> dict[str, object]:
    """A template as data."""
    step = {"id": "hello", "image": "busybox", "command": ["echo", "hello"]}
    return {"id": "greet", "name": "Greet", "definition": {"steps": [step]}, **changes}


def with_parameters(properties: Mapping[str, object], **step: object) -> dict[str, object]:
    """A template with these parameters, and these fields in its one step."""
    whole = {"id": "hello", "image": "busybox", **step}
    return minimal(parameters={"type": "object", "properties": properties}, definition={"steps": [whole]})
