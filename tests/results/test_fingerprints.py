"""What two failures have in common although times, addresses and ids differ."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from task_manager.models import new_id
from task_manager.results.fingerprints import fingerprint, without_varying_parts

MESSAGES = (
    "{time} ERROR request {uuid} failed after {seconds:.2f} s",
    "Connection to 10.1.2.{byte}:{port} refused",
    "<Widget object at {address:#x}> has no size (pid {port})",
    "FileNotFoundError: '/tmp/build-{word}/out/{byte}.txt'",
    "commit {digest} is missing in run {run}",
    "FAILED tests/test_a.py::test_b - took {seconds:.3f}s at {clock}",
)


@st.composite
def circumstances(draw: st.DrawFn) -> dict[str, object]:
    """What differs each time."""
    moment = draw(st.datetimes(timezones=st.just(UTC)))
    return {
        "time": moment.isoformat(sep=draw(st.sampled_from("T "))),
        "clock": moment.strftime("%H:%M:%S"),
        "uuid": UUID(int=draw(st.integers(1, 2**128 - 1))),
        "seconds": draw(st.floats(0.01, 9999)),
        "byte": draw(st.integers(0, 255)),
        "port": draw(st.integers(1, 65535)),
        "address": draw(st.integers(2**20, 2**48)),
        "word": draw(st.text("abcxyz019_", min_size=1, max_size=12)),
        "digest": f"{draw(st.integers(0, 2**150)):038x}a1",
        "run": new_id("run"),
    }


@given(st.sampled_from(MESSAGES), circumstances(), circumstances())
def test_circumstances_do_not_change_a_fingerprint(
    message: str, first: dict[str, object], second: dict[str, object]
) -> None:
    one, other = (fingerprint("rule", "test", 1, lines=[message.format(**facts)]) for facts in (first, second))
    assert one == other, (
        without_varying_parts(message.format(**first)),
        without_varying_parts(message.format(**second)),
    )


def test_another_rule_step_exit_code_or_message_is_another_failure() -> None:
    known = fingerprint("rule", "test", 1, lines=["expected 3, got 4"])
    others = [
        fingerprint("other", "test", 1, lines=["expected 3, got 4"]),
        fingerprint("rule", "build", 1, lines=["expected 3, got 4"]),
        fingerprint("rule", "test", 2, lines=["expected 3, got 4"]),
        fingerprint("rule", "test", 1, lines=["expected 3, got 5"]),
        fingerprint("rule", "test", 1, lines=["expected 3, got 4", "more"]),
        fingerprint("rule", "test", 1, lines=[]),
    ]
    assert known not in others
    assert len({known, *others}) == len(others) + 1


def test_what_tells_two_failures_apart_stays() -> None:
    line = "tests/test_words.py:12: assert 2 == 4 in version 1.2.3"
    assert without_varying_parts(line) == line


@given(st.text())
def test_whatever_a_line_holds_it_has_a_fingerprint_of_sixteen_digits(line: str) -> None:
    found = fingerprint(lines=[line])
    assert len(found) == 16
    assert int(found, 16) >= 0
