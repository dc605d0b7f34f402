"""Secret values never come out, however the output is cut into pieces."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from task_manager.embedded_engine.scrubbing import Scrubber

SECRETS = st.lists(
    st.binary(min_size=3, max_size=8).filter(lambda word: bool(word.strip()) and b"*" not in word), max_size=3
)


@given(SECRETS, st.lists(st.binary(max_size=12), max_size=8), st.data())
def test_no_secret_is_left_however_the_stream_is_cut(
    secrets: list[bytes], pieces: list[bytes], data: st.DataObject
) -> None:
    text = b"".join(pieces)
    for secret in secrets:
        position = data.draw(st.integers(0, len(text)))
        text = text[:position] + secret + text[position:]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    scrubber = Scrubber(secrets)
    shown = (
        b"".join(scrubber.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
        + scrubber.finish()
    )
    whole = Scrubber(secrets)
    assert shown == whole.feed(text) + whole.finish()
    assert not any(secret in shown for secret in secrets)


@given(st.binary())
def test_without_secrets_nothing_changes(data: bytes) -> None:
    scrubber = Scrubber([])
    assert scrubber.feed(data) + scrubber.finish() == data


def test_each_line_of_a_secret_is_masked() -> None:
    scrubber = Scrubber([b"first line\nsecond line"])
    assert scrubber.feed(b"x second line y") + scrubber.finish() == b"x *** y"


@given(st.binary(min_size=6, max_size=90).filter(lambda word: word == word.strip()), st.binary(max_size=8))
def test_a_secret_in_base64_is_masked_wherever_it_stands(secret: bytes, before: bytes) -> None:
    scrubber = Scrubber([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = scrubber.feed(encode(before + secret)) + scrubber.finish()
        # What is left are the characters that hold bits of what stands before and after it, too.
        assert len(shown.replace(b"***", b"").rstrip(b"=")) <= len(encode(before)) + 2
    wrapped = base64.encodebytes(secret)
    assert len((scrubber.feed(wrapped) + scrubber.finish()).strip()) <= len(b"***xx==")
