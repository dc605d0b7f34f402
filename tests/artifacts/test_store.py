"""Content is stored once under its digest, and what is read is what was stored, wherever it is kept."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.artifacts import ArtifactStore
from task_manager.artifacts.objects import Objects
from task_manager.artifacts.trees import Entry, EntryKind, manifest, parse_manifest
from task_manager.errors import ArtifactDamaged, ArtifactMissing, ArtifactStoreUnavailable, InvalidConfiguration
from task_manager.models import Artifact
from tests.artifacts.places import FolderPlace, Place, s3_environment
from tests.environment.registry import refused_address

NOW = datetime.now(UTC)
NOWHERE = f"sha256:{'0' * 64}"
TEXT = b"the same line again and again\n" * 1000


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - for tests


def file(folder: Path, content: bytes, name: str = "file.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def artifact(digest: str, *, is_directory: bool = False) -> Artifact:
    return Artifact(
        run_id="run-1",
        step_id="make",
        name="make/out",
        path="make/out/out",
        digest=digest,
        is_directory=is_directory,
        created_at=NOW,
    )


def a_folder(root: Path, name: str = "site") -> Path:
    folder = root / name
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "index.html").write_bytes(TEXT)
    (folder / "deep" / "copy.html").write_bytes(TEXT)
    script = file(folder / "deep", b"#!/bin/sh\n", "run.sh")
    script.chmod(0o755)
    (folder / "latest").symlink_to("deep/copy.html")
    return folder


async def whole(store: ArtifactStore, digest: str) -> bytes:
    return b"".join([chunk async for chunk in store.stream(digest)])


@pytest.mark.parametrize("content", [b"", b"x", TEXT, random_bytes(3_000_000), random_bytes(9_000_000)], ids=len)
async def test_a_file_is_read_as_it_was_stored(place: Place, tmp_path: Path, content: bytes) -> None:
    store = ArtifactStore(place.objects)
    stored = await store.put(file(tmp_path, content))
    assert stored.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (stored.size, stored.is_directory) == (len(content), False)
    assert await whole(store, stored.digest) == content
    target = await store.export(artifact(stored.digest), tmp_path / "new" / "copy")
    assert target.read_bytes() == content
    await store.verify(stored.digest)


async def test_equal_content_is_stored_once(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    first = await store.put(file(tmp_path, TEXT, "a.txt"))
    before = place.keys()
    assert await store.put(file(tmp_path, TEXT, "b.txt")) == first
    assert place.keys() == before
    assert len(before) == 1


async def test_content_is_compressed_where_it_pays(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    await store.put(file(tmp_path, TEXT))
    await store.put(file(tmp_path, random_bytes(100_000)))
    sizes = {facts.key.endswith(".zst"): facts.size for facts in place.objects.all()}
    assert sizes[True] < len(TEXT) / 10
    assert sizes[False] == 100_000


async def test_a_folder_is_read_as_it_was_stored(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    stored = await store.put(a_folder(tmp_path))
    assert stored.is_directory
    assert stored.size == 2 * len(TEXT) + len(b"#!/bin/sh\n")
    target = await store.export(artifact(stored.digest, is_directory=True), tmp_path / "copy")
    names = {path.relative_to(target).as_posix() for path in target.rglob("*")}
    assert names == {"deep", "deep/empty", "index.html", "deep/copy.html", "deep/run.sh", "latest"}
    assert (target / "deep/copy.html").read_bytes() == TEXT
    assert os.access(target / "deep/run.sh", os.X_OK)
    assert (target / "latest").readlink() == Path("deep/copy.html")
    assert (await store.put(a_folder(tmp_path, "again"))).digest == stored.digest


async def test_files_that_two_folders_have_are_stored_once(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    await store.put(a_folder(tmp_path, "one"))
    other = a_folder(tmp_path, "two")
    (other / "new.txt").write_bytes(b"new")
    before = len(place.keys())
    await store.put(other)
    assert len(place.keys()) == before + 2  # the new file, and the new list


async def test_what_is_missing_is_told(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    single = await store.put(file(tmp_path, b"single"))
    folder = await store.put(a_folder(tmp_path))
    assert await store.exists(single.digest)
    assert await store.exists(folder.digest)
    assert await store.missing([single.digest, NOWHERE, folder.digest, NOWHERE]) == (NOWHERE,)
    with pytest.raises(ArtifactMissing, match="is not in the artifact store"):
        await whole(store, NOWHERE)
    with pytest.raises(ArtifactMissing):
        await store.verify(NOWHERE)
    with pytest.raises(ArtifactMissing, match="is no sha256 digest"):
        await store.verify("../../etc/passwd")


async def test_a_folder_without_one_of_its_files_is_missing(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    folder = await store.put(a_folder(tmp_path))
    await store.remove((await store.put(file(tmp_path, TEXT))).digest)
    assert not await store.exists(folder.digest)


@pytest.mark.parametrize("content", [TEXT, random_bytes(2_500_000)], ids=["compressed", "plain"])
@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "replaced"])
async def test_damage_is_an_error_and_nothing_is_written(
    place: Place, tmp_path: Path, content: bytes, damage: str
) -> None:
    store = ArtifactStore(place.objects)
    digest = (await store.put(file(tmp_path, content))).digest
    (key,) = place.keys()
    stored = place.content(key)
    middle = len(stored) // 2
    changed = {
        "cut": stored[:-3],
        "changed": stored[:middle] + bytes([stored[middle] ^ 1]) + stored[middle + 1 :],
        "emptied": b"",
        "replaced": b"something else",
    }
    place.replace(key, changed[damage])
    with pytest.raises(ArtifactDamaged, match=digest):
        await store.verify(digest)
    with pytest.raises(ArtifactDamaged):
        await store.export(artifact(digest), tmp_path / "target" / "copy")
    assert list((tmp_path / "target").iterdir()) == []
    await store.remove(digest)
    assert (await store.put(file(tmp_path, content))).digest == digest
    await store.verify(digest)


async def test_a_damaged_list_of_a_folder_is_an_error(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    digest = (await store.put(a_folder(tmp_path))).digest
    (key,) = filter(lambda key: key.startswith("folders/"), place.keys())
    place.replace(key, b"[]")
    with pytest.raises(ArtifactDamaged):
        await store.verify(digest)
    assert not await store.exists(digest)


async def test_pruning_leaves_what_is_referred_to_and_what_is_new(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    kept = await store.put(a_folder(tmp_path))
    loose = await store.put(file(tmp_path, b"nothing refers to this"))
    assert (await store.prune({kept.digest})).removed == 0
    later = ArtifactStore(place.objects, clock=lambda: datetime.now(UTC) + timedelta(days=2))
    planned = await later.prune({kept.digest}, dry_run=True)
    assert (planned.removed, planned.dry_run) == (1, True)
    assert await store.exists(loose.digest)
    done = await later.prune({kept.digest})
    assert (done.removed, done.freed, done.kept) == (planned.removed, planned.freed, planned.kept)
    assert not await store.exists(loose.digest)
    await store.verify(kept.digest)


async def test_content_stored_again_is_not_pruned_for_its_age(place: Place, tmp_path: Path) -> None:
    path = file(tmp_path, b"old")
    await ArtifactStore(place.objects).put(path)
    before = next(iter(place.objects.all())).modified_at
    in_a_day = ArtifactStore(place.objects, clock=lambda: before + timedelta(days=1))
    while next(iter(place.objects.all())).modified_at == before:
        await in_a_day.put(path)
    assert next(iter(place.objects.all())).modified_at > before


async def test_at_most_so_many_bytes_are_read(place: Place, tmp_path: Path) -> None:
    store = ArtifactStore(place.objects)
    digest = (await store.put(file(tmp_path, TEXT))).digest
    assert await store.read(digest, limit=10) == TEXT[:10]
    assert await store.read(digest, limit=10**9) == TEXT


async def test_a_store_that_does_not_answer_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused_address() as address:
        for name, value in s3_environment(f"http://{address}").items():
            monkeypatch.setenv(name, value)
        store = ArtifactStore(Objects.at("s3://bucket/prefix"))
        with pytest.raises(ArtifactStoreUnavailable, match="s3://bucket/prefix"):
            await store.put(file(tmp_path, b"x"))


def test_an_address_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match=r"artifacts\.url"):
        Objects.at("gopher://somewhere")


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_list_that_names_something_outside_its_folder_is_damaged(path: str) -> None:
    content = manifest([Entry(path, EntryKind.FILE, NOWHERE)])
    with pytest.raises(ArtifactDamaged):
        parse_manifest(content, NOWHERE)


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
trees = st.dictionaries(names.filter(lambda name: name not in (".", "..")), st.binary(max_size=2000), max_size=5)


@settings(max_examples=25, deadline=None)
@given(trees)
async def test_whatever_a_folder_has_comes_back(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = root / "made"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        store = ArtifactStore(FolderPlace(root / "kept").objects)
        digest = (await store.put(folder)).digest
        target = await store.export(artifact(digest, is_directory=True), root / "copy")
        assert {path.name: path.read_bytes() for path in target.iterdir()} == files
