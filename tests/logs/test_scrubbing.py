"""No secret is in what is written, however it is encoded and however what a step writes is cut."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from task_manager.logs import MASK, Scrubber, scrub_file

SECRET = "hunter2-correct/horse+battery"

secrets = st.lists(st.text('abAB\n"', min_size=4, max_size=8), min_size=1, max_size=3)
pieces = st.lists(st.text('abAB\n"', max_size=12), max_size=8)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_base64_is_found_wherever_it_stands(before: str, encode: object) -> None:
    assert callable(encode)
    text = encode(f"{before}{SECRET}\n".encode()).decode()
    clean = Scrubber([SECRET]).text(f"<{text}>")
    assert MASK in clean
    kept = clean.replace(MASK, "").strip("<>")
    assert len(kept) <= len(text) - len(SECRET)


def test_a_long_secret_in_wrapped_base64_is_found() -> None:
    secret = "0123456789" * 12
    wrapped = base64.encodebytes(secret.encode()).decode()
    clean = Scrubber([secret]).text(wrapped)
    assert not any(line[:20] in clean for line in wrapped.splitlines() if len(line) > 20)


@pytest.mark.parametrize("form", [quote(SECRET, safe=""), json.dumps(SECRET), SECRET, f"https://u:{SECRET}@host/"])
def test_a_secret_is_found_in_urls_and_json(form: str) -> None:
    assert SECRET not in Scrubber([SECRET]).text(form)
    assert MASK in Scrubber([SECRET]).text(form)


def test_the_lines_of_a_secret_of_several_lines_are_secrets() -> None:
    clean = Scrubber(["-----BEGIN-----\nMIIEvQIBADAN\n-----END-----"]).text("grep: MIIEvQIBADAN matches")
    assert clean == f"grep: {MASK} matches"


def test_short_values_and_no_secrets_change_nothing() -> None:
    assert Scrubber(["abc", ""]).text("abc abc") == "abc abc"
    assert not Scrubber(["abc"])


@given(secrets, pieces)
def test_what_is_written_does_not_depend_on_how_it_was_cut(values: list[str], parts: list[str]) -> None:
    scrubber = Scrubber(values)
    stream = scrubber.stream()
    written = b"".join([*(stream.feed(part.encode()) for part in parts), stream.end()])
    assert written.decode() == scrubber.text("".join(parts))
    for value in values:
        assert value not in written.decode().replace(MASK, "\0")


def test_a_secret_is_taken_out_of_data() -> None:
    data: JsonValue = {"message": f"is {SECRET}", "list": [1, None, SECRET], SECRET: True}
    assert Scrubber([SECRET]).data(data) == {"message": f"is {MASK}", "list": [1, None, MASK], MASK: True}


def test_a_secret_is_taken_out_of_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("x" * (1024 * 1024 - 5) + SECRET + "\nend\n")
    assert scrub_file(file, Scrubber([SECRET]))
    assert file.read_text().endswith(f"x{MASK}\nend\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_a_file_that_is_no_text_is_left_and_told(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"\0\1" + SECRET.encode())
    assert not scrub_file(file, Scrubber([SECRET]))
    assert file.read_bytes() == b"\0\1" + SECRET.encode()
    assert scrub_file(file, Scrubber(["something else"]))
