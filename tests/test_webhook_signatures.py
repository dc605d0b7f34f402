"""Webhooks are believed only when they were signed with the secret, in the forms that senders publish."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pydantic import JsonValue

from task_manager.errors import InvalidInput
from task_manager.trigger_records import WebhookSource
from task_manager.webhook_deliveries import at, described, is_authentic, read_delivery
from task_manager.webhook_signatures import github_signature, standard_signature

GITHUB, GITLAB, GENERIC = WebhookSource
SECRET = "It's a Secret to Everybody"
NOW = 1_614_265_330.0


def accepted(source: WebhookSource, headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    return is_authentic(source, secret, headers, body, now=NOW, tolerance=300)


def test_signatures_are_those_of_the_published_examples() -> None:
    """Of GitHub's documentation, and of that of Standard Webhooks."""
    assert github_signature(SECRET, b"Hello, World!") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    signature = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_another_body_than_the_signed_one_is_refused(body: bytes, other: bytes) -> None:
    github = {"x-hub-signature-256": github_signature(SECRET, body)}
    generic = signed(body)
    for source, headers in ((GITHUB, github), (GENERIC, generic), (GITLAB, generic)):
        assert accepted(source, headers, body)
        assert accepted(source, headers, other) == (other == body)
        assert not accepted(source, headers, body, "another")
        assert not accepted(source, headers, body, "")


@pytest.mark.parametrize("source", WebhookSource)
def test_what_is_not_signed_at_all_is_refused(source: WebhookSource) -> None:
    assert not accepted(source, {}, b"{}")
    assert not accepted(source, {"x-hub-signature-256": "", "x-gitlab-token": "ä", "webhook-signature": "é"}, b"{}")


@pytest.mark.parametrize(("late", "fits"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_signed_time_must_be_near(late: int, fits: bool) -> None:
    assert accepted(GENERIC, signed(b"{}", timestamp=str(int(NOW) + late)), b"{}") == fits


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "²", "9" * 5000])
def test_a_time_that_is_none_is_refused(timestamp: str) -> None:
    assert not accepted(GENERIC, signed(b"{}", timestamp=timestamp), b"{}")


def test_one_of_several_signatures_is_enough_while_a_secret_is_replaced() -> None:
    headers = signed(b"{}")
    headers["webhook-signature"] = f"v1a,other {headers['webhook-signature']} v1,bm9uZQ=="
    assert accepted(GENERIC, headers, b"{}")


def test_gitlab_sends_its_secret_token_or_signs() -> None:
    assert accepted(GITLAB, {"x-gitlab-token": SECRET}, b"{}")
    assert not accepted(GITLAB, {"x-gitlab-token": SECRET + "s"}, b"{}")
    wrong = {**signed(b"{}"), "x-gitlab-token": SECRET}
    assert not accepted(GITLAB, wrong, b"{ }"), "a signature that does not fit is not outweighed by a token"


@pytest.mark.parametrize(
    ("source", "headers", "payload", "told"),
    [
        (GITHUB, {"x-github-event": "push"}, {"ref": "refs/heads/a/b"}, ("push", None, "a/b")),
        (GITHUB, {"x-github-event": "push"}, {"ref": "refs/tags/v1"}, ("push", None, None)),
        (GITHUB, {"x-github-event": "create"}, {"ref": "x", "ref_type": "branch"}, ("create", None, "x")),
        (
            GITHUB,
            {"x-github-event": "pull_request"},
            {"pull_request": {"base": {"ref": "main"}}, "repository": {"full_name": "o/n"}},
            ("pull_request", "o/n", "main"),
        ),
        (
            GITLAB,
            {"x-gitlab-event": "Merge Request Hook"},
            {
                "object_kind": "merge_request",
                "object_attributes": {"target_branch": "main"},
                "project": {"path_with_namespace": "g/n"},
            },
            ("merge_request", "g/n", "main"),
        ),
        (GITLAB, {"x-gitlab-event": "System Hook"}, {"ref": None}, ("System Hook", None, None)),
        (GENERIC, {}, {"type": "built", "repository": "r", "branch": "b"}, ("built", "r", "b")),
    ],
)
def test_event_repository_and_branch_are_found(
    source: WebhookSource,
    headers: dict[str, str],
    payload: dict[str, JsonValue],
    told: tuple[str, str | None, str | None],
) -> None:
    found = described(source, next(iter(headers.values()), ""), payload)
    assert (found.event, found.repository, found.branch) == told


def test_a_delivery_has_the_senders_name_or_one_made_of_what_it_tells() -> None:
    assert read_delivery(GITHUB, {"x-github-delivery": "d-1"}, b"{}").id == "d-1"
    assert read_delivery(GITLAB, {"idempotency-key": "k", "x-gitlab-event-uuid": "u"}, b"{}").id == "k"
    unnamed = [read_delivery(GITLAB, {}, body).id for body in (b"{}", b"{}", b"{ }")]
    assert unnamed[0] == unnamed[1] != unnamed[2]
    assert read_delivery(GITHUB, {"x-github-delivery": "d" * 1000}, b"{}").id.startswith("sha256:")


@pytest.mark.parametrize("body", [b"", b"payload=%7B%7D", b"[]", b"null", b"NaN", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_delivery(GITHUB, {}, body)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/b/1", 2),
        ("/a/b/2", None),
        ("/a/b/-1", None),
        ("/a/b/" + "9" * 50, None),
        ("/c~1d", 3),
        ("/e~0f", 4),
        ("/none/at/all", None),
        ("/", 5),
    ],
)
def test_places_are_found_as_json_pointers_name_them(pointer: str, value: object) -> None:
    assert at({"a": {"b": [1, 2]}, "c/d": 3, "e~f": 4, "": 5}, pointer) == value


def signed(body: bytes, timestamp: str = str(int(NOW))) -> dict[str, str]:
    signature = standard_signature(SECRET, "m-1", timestamp, body)
    return {"webhook-id": "m-1", "webhook-timestamp": timestamp, "webhook-signature": signature}
