"""Valid pipelines, drawn at random, with much that can be simplified.

Parts of steps come from small pools, so that equal steps, repeated sources and redundant needs are frequent.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import strategies as st

from task_manager.pipeline import Pipeline
from tests.conversion.interpreter import FAILING_COMMAND

Data = dict[str, Any]

_COMMANDS = [None, None, ["build"], ["test", "-q"], list(FAILING_COMMAND)]
_SETTINGS: list[Data] = [
    *({} for _ in range(8)),
    {"image": "python"},
    {"environment": {"A": "1", "B": "2"}},
    {"environment": {"B": "2", "A": "1"}},
    {"secrets": {"TOKEN": "env:ONE"}},
    {"secrets": {"TOKEN": "env:TWO"}},
    {"caches": [{"name": "pip", "target": "/cache"}]},
    {"cache": "never"},
    {"retries": 1},
]
_FOLDERS = ["/in/a", "in/b", "/task/in/b/."]
_FILES = ["/in/a/f", "/in/a/g"]
_PATTERNS = [[], ["*.csv"], ["*.csv", "!data/a.csv", "*.csv"], ["src/", "*.py", "src/"]]
_INLINE = [{"type": "inline", "target": target, "contents": text} for target, text in product(_FILES, "xy")]
_HOST = [
    {"type": "host", "target": target, "path": path, "include": include, "exclude": exclude}
    for target, path, include, exclude in product(_FOLDERS, [".", "data", "src/../data/"], _PATTERNS, _PATTERNS)
]
_MADE: list[list[Data]] = [
    [],
    [{"name": "x", "path": "/out/x"}],
    [{"name": "x", "path": "/out/x"}, {"name": "y", "type": "directory", "path": "/out/y"}],
    [{"name": "x", "path": "/out/x", "optional": True}, {"name": "z", "type": "stdout"}],
    [{"name": "y", "type": "directory", "path": "../out/y", "optional": True}],
]
_PUT_TOGETHER: list[list[Data]] = [
    [],
    [],
    [{"name": "x", "type": "directory", "path": "/in"}],
    [{"name": "x", "path": "/in/a/f", "optional": True}],
]


@st.composite
def pipelines(draw: st.DrawFn, *, maximum: int = 6) -> Pipeline:
    """A valid pipeline; its steps stand in any order."""
    steps: list[Data] = []
    for number in range(draw(st.integers(1, maximum))):
        steps.append(draw(_steps(f"s{number}", steps)))
    made = [(step["id"], output["name"]) for step in steps for output in step["outputs"]]
    reports = draw(st.lists(st.sampled_from(made), max_size=2)) if made else []
    return Pipeline.model_validate(
        {
            "steps": draw(st.permutations(steps)),
            "result": {"reports": [{"step": step, "output": name, "format": "text"} for step, name in reports]},
        }
    )


@st.composite
def _steps(draw: st.DrawFn, name: str, before: list[Data]) -> Data:
    command = draw(st.sampled_from(_COMMANDS))
    earlier = [step["id"] for step in before]
    return {
        "id": name,
        "image": "debian",
        "command": command,
        "sources": draw(st.lists(_sources(before), max_size=3)),
        "needs": draw(st.lists(st.sampled_from(earlier), max_size=2)) if earlier else [],
        "outputs": draw(st.sampled_from(_MADE if command else _PUT_TOGETHER)),
        **draw(st.sampled_from(_SETTINGS)),
    }


def _sources(before: list[Data]) -> st.SearchStrategy[Data]:
    used = [
        {"type": "step", "step": step["id"], "output": output["name"], "target": target}
        for step in before
        for output in step["outputs"]
        for target in (_FOLDERS if output.get("type") == "directory" else _FILES)
    ]
    pools = [st.sampled_from(_INLINE), st.sampled_from(_HOST), *([st.sampled_from(used)] * 2 if used else [])]
    return st.one_of(pools)
