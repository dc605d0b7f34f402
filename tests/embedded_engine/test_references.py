"""Image references mean what they mean to `docker pull`."""

import pytest

from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.images.references import (
    is_loopback,
    parse_layout_reference,
    parse_reference,
)

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "whole", "host"),
    [
        ("busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"),
        ("team/app:1", "docker.io/team/app:1", "registry-1.docker.io"),
        ("docker.io/library/busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest", "registry-1.docker.io"),
        ("localhost/app", "localhost/app:latest", "localhost"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", "registry-1.docker.io"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}", "registry-1.docker.io"),
    ],
)
def test_a_name_is_completed(text: str, whole: str, host: str) -> None:
    reference = parse_reference(text)
    assert (str(reference), reference.host) == (whole, host)


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "a::b", "a@sha256:1", "a/../b", "-a", "a:" + "x" * 129])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="invalid reference format"):
        parse_reference(text)


def test_a_layout_is_named_by_folder_and_tag() -> None:
    reference = parse_layout_reference("oci-layout:///images/busybox:1.0")
    assert (reference.folder, reference.tag) == ("/images/busybox", "1.0")
    with pytest.raises(ApiError, match="must be absolute"):
        parse_layout_reference("oci-layout://images")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("localhost", True),
        ("[::1]:5000", True),
        ("10.0.0.1:5000", False),
        ("example.com", False),
    ],
)
def test_loopback_hosts_are_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
