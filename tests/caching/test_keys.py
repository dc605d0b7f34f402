"""Cache keys: equal inputs give equal keys whatever their order, each change another one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.caching.explain import differences
from task_manager.caching.keys import (
    component,
    key_of,
    pipeline_component,
    secrets_component,
    selected,
    selection_digest,
    values_component,
)
from task_manager.embedded_engine.patterns import Filter
from task_manager.pipeline import HostSource, Pipeline
from tests.conversion.strategies import pipelines

TEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=300), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.sampled_from("ab.*"), min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))


def shuffled(value: Any, seed: int) -> Any:
    """The same data, its keys in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        random.Random(seed).shuffle(items)  # noqa: S311
        return {name: shuffled(inner, seed) for name, inner in items}
    return [shuffled(inner, seed) for inner in value] if isinstance(value, list) else value


@given(TEXTS, st.integers())
def test_the_order_of_parts_does_not_count(parts: dict[str, str], seed: int) -> None:
    assert component("x", parts) == component("x", shuffled(parts, seed))


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.integers())
def test_the_order_of_keys_inside_values_does_not_count(values: dict[str, Any], seed: int) -> None:
    assert values_component("parameters", values) == values_component("parameters", shuffled(values, seed))


@given(TEXTS, TEXTS)
def test_two_components_are_equal_when_their_parts_are(one: dict[str, str], other: dict[str, str]) -> None:
    assert (component("x", one).digest == component("x", other).digest) is (one == other)


@given(st.lists(st.tuples(st.text(max_size=5), TEXTS), max_size=5, unique_by=lambda item: item[0]), st.integers())
def test_the_order_of_components_does_not_count_and_each_does(parts: list[tuple[str, Any]], seed: int) -> None:
    components = [component(name, texts) for name, texts in parts]
    again = components[:]
    random.Random(seed).shuffle(again)  # noqa: S311
    assert key_of(components) == key_of(again)
    for number in range(len(components)):
        changed = component(components[number].name, {**parts[number][1], "new": "part"})
        assert key_of([*components[:number], changed, *components[number + 1 :]]) != key_of(components)


@settings(max_examples=40)
@given(pipelines(), st.data())
def test_each_single_change_of_a_pipeline_gives_another_digest(pipeline: Pipeline, data: st.DataObject) -> None:
    plain = pipeline.model_dump(mode="json")
    number = data.draw(st.integers(0, len(plain["steps"]) - 1))
    field, value = data.draw(
        st.sampled_from(
            [("image", "another:1"), ("timeout", 77.5), ("workdir", "/elsewhere"), ("network", None), ("name", "Other")]
        )
    )
    step = plain["steps"][number]
    step[field] = (not step[field]) if value is None else value
    changed = pipeline_component(Pipeline.model_validate(plain))
    found = differences([pipeline_component(pipeline)], [changed])
    assert [one.part for one in found] == [f"step {step['id']}"]


@settings(max_examples=40)
@given(pipelines())
def test_what_says_only_how_often_the_work_is_done_does_not_count(pipeline: Pipeline) -> None:
    cached = pipeline.model_copy(update={"cache": None, "retry": None})
    other = Pipeline.model_validate(
        {**pipeline.model_dump(mode="json"), "cache": {"tags": ["x"]}, "retry": {"strategy": "none"}}
    )
    assert pipeline_component(cached) == pipeline_component(other)


def generated(number: int) -> tuple[Pipeline, dict[str, Any]]:
    """A workflow unlike any other of the series, most alike in nearly everything."""
    chance = random.Random(number)  # noqa: S311
    steps = [
        {
            "id": f"s{step}",
            "image": chance.choice(["a", "b:1", "b:2"]),
            "command": ["run", *[chance.choice("xyz") for _ in range(chance.randint(0, 3))]],
            "environment": {chance.choice("AB"): str(chance.randint(0, 3))},
        }
        for step in range(chance.randint(1, 3))
    ]
    return Pipeline.model_validate({"steps": steps}), {
        "number": number,
        "value": chance.randint(0, 3),
        "more": chance.choice([[], {}, "", None]),
    }


def test_no_two_of_ten_thousand_generated_workflows_share_a_key() -> None:
    keys: dict[str, str] = {}
    texts: set[str] = set()
    for number in range(10_000):
        pipeline, parameters = generated(number)
        text = json.dumps([pipeline.model_dump(mode="json"), parameters], sort_keys=True)
        texts.add(text)
        key = key_of([pipeline_component(pipeline), values_component("parameters", parameters)])
        assert keys.setdefault(key, text) == text
    assert len(keys) == len(texts) == 10_000


def test_keys_are_the_same_in_another_process() -> None:
    program = (
        "from tests.caching.test_keys import *; p, v = generated(7);"
        "print(key_of([pipeline_component(p), values_component('parameters', v)]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    pipeline, values = generated(7)
    assert found == {key_of([pipeline_component(pipeline), values_component("parameters", values)]) + "\n"}


@given(st.text(max_size=20), st.text(max_size=20), st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=8))
def test_secrets_count_by_value_and_key_and_are_not_in_the_component(
    one: str, other: str, key: bytes, more: bytes
) -> None:
    made = secrets_component({"KEY": one}, key)
    assert (made == secrets_component({"KEY": other}, key)) is (one == other)
    assert made.parts["KEY"].startswith("hmac-sha256:") or len(made.parts["KEY"]) > 20
    if key.ljust(64, b"\0") != more.ljust(64, b"\0"):
        assert made != secrets_component({"KEY": one}, more)


@pytest.mark.parametrize("field", ["include", "exclude"])
@given(
    patterns=st.lists(
        st.one_of(NAMES, st.sampled_from(["**", "**/b", "a/**", "a/*", "?", "[ab]", "a/b", "*.b"])),
        min_size=1,
        max_size=3,
    ),
    paths=st.lists(
        st.lists(st.sampled_from(["a", "b", "a.b", "ab"]), min_size=1, max_size=3).map("/".join), min_size=1
    ),
)
def test_a_source_takes_at_least_what_the_engine_takes(field: str, patterns: list[str], paths: list[str]) -> None:
    """What the engine takes counts; taking more would only cost a hit."""
    source = HostSource.model_validate({"target": "/x", field: patterns})
    listing = dict.fromkeys(paths, "100000 644 digest")
    taken = {path for path, _ in selected(listing, source)}
    by_engine = {path for path in paths if Filter.of(source.include, source.exclude).takes(path)}
    assert by_engine <= taken


def test_a_selection_is_by_content_and_place_below_the_source() -> None:
    listing = {"src": "40000 0", "src/a.py": "100000 644 1", "src/a.log": "100000 644 2", "other": "100000 644 3"}
    source = HostSource(path="src", target="/x", exclude=("*.log",))
    digest = selection_digest(listing, source)
    assert digest == selection_digest({**listing, "src/a.log": "changed", "other": "changed"}, source)
    assert digest != selection_digest({**listing, "src/a.py": "changed"}, source)
    moved = {path.replace("src", "lib"): value for path, value in listing.items()}
    assert digest == selection_digest(moved, HostSource(path="lib", target="/x", exclude=("*.log",)))
