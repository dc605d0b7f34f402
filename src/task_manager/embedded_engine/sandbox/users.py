"""Users and groups by name and id, from a root file system's own /etc/passwd and /etc/group."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from task_manager.embedded_engine import kernel


class UnknownUserError(LookupError):
    """A user or group is not in the root's /etc/passwd or /etc/group."""


@dataclass(frozen=True)
class Identity:
    """Whom a command runs as."""

    user: int
    group: int
    groups: tuple[int, ...]
    home: str


def resolve_identity(root: int, text: str) -> Identity:
    """Return whom `text` (`user`, `user:group`, by name or id; empty for root) stands for.

    Args:
        root: A descriptor of the root folder.
        text: The user as an image's configuration has it.

    Raises:
        UnknownUserError: A name is not known there.
    """
    user_text, _, group_text = text.partition(":")
    account = _account(root, user_text or "0")
    group = _group(root, group_text) if group_text else account.group
    groups = account.groups if not group_text else ()
    return Identity(account.user, group, groups, account.home)


def resolve_owner(root: int, text: str) -> tuple[int, int]:
    """Return the user and group ids of an owner: `user` or `user:group`; without a group, the user's id.

    Raises:
        UnknownUserError: A name is not known there.
    """
    user_text, _, group_text = text.partition(":")
    user = _account(root, user_text)
    group = _group(root, group_text) if group_text else (user.user if user_text.isdigit() else user.group)
    return user.user, group


def _account(root: int, text: str) -> Identity:
    for row in _rows(root, "/etc/passwd", 7):
        if text in {row[0], row[2]}:
            return Identity(int(row[2]), int(row[3]), _memberships(root, row[0]), row[5] or "/")
    if text.isdigit():
        return Identity(int(text), 0, (), "/")
    raise UnknownUserError(f"unable to find user {text}: no matching entries in passwd file")


def _memberships(root: int, name: str) -> tuple[int, ...]:
    return tuple(int(row[2]) for row in _rows(root, "/etc/group", 4) if name in row[3].split(","))


def _group(root: int, text: str) -> int:
    if text.isdigit():
        return int(text)
    for row in _rows(root, "/etc/group", 4):
        if row[0] == text:
            return int(row[2])
    raise UnknownUserError(f"unable to find group {text}: no matching entries in group file")


def _rows(root: int, path: str, width: int) -> Iterator[Sequence[str]]:
    try:
        descriptor = kernel.open_in_root(root, path, os.O_RDONLY)
    except OSError:
        return
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        for line in file:
            row = line.rstrip("\n").split(":")
            if len(row) >= width and row[2].isdigit():
                yield row
