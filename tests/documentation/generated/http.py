"""The reference of the REST API, from its published document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from tests.documentation.generated.markdown import WRITTEN, table
from tests.documentation.generated.markdown import page as page_of
from tests.documentation.pages import ROOT


def page() -> str:
    """The page, in Markdown."""
    document = json.loads((ROOT / "docs/reference/openapi.json").read_text())
    return page_of(
        "REST API",
        WRITTEN + " All of it stands in [the OpenAPI document](openapi.json), which a running server offers, too.",
        document["info"]["description"].strip(),
        lines=[line for tag, calls in _by_tag(document) for line in _section(tag, calls)],
    )


def _by_tag(document: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, Mapping[str, Any]]]]]:
    calls = [(method, path, call) for path, methods in document["paths"].items() for method, call in methods.items()]
    for tag, of_tag in groupby(sorted(calls, key=_tag), key=_tag):
        yield tag, list(of_tag)


def _tag(call: tuple[str, str, Mapping[str, Any]]) -> str:
    tags = call[2].get("tags") or ["other"]
    return str(tags[0])


def _section(tag: str, calls: list[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    yield f"## {tag.capitalize()}"
    yield ""
    rows = [(f"`{method.upper()} {path}`", _text(call), _asked(call)) for method, path, call in calls]
    yield from table(("Call", "What it does", "Query"), rows)


def _text(call: Mapping[str, Any]) -> str:
    return str(call.get("description") or call.get("summary", "")).split("\n\n")[0]


def _asked(call: Mapping[str, Any]) -> str:
    return ", ".join(f"`{one['name']}`" for one in call.get("parameters", ()) if one["in"] == "query")
