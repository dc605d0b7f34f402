"""What a run reads stays as it was when the run was started."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from task_manager.errors import StoreError
from task_manager.snapshots import Snapshots


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "deep" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("a.txt")
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_snapshot_has_files_folders_links_and_modes(tmp_path: Path, source: Path) -> None:
    snapshots = Snapshots(tmp_path / "data")
    kept = snapshots.path(snapshots.take(source, ignored=False))
    assert names(kept) == {"a.txt", "deep", "deep/empty", "deep/run.sh", "link"}
    assert (kept / "link").readlink() == Path("a.txt")
    assert os.access(kept / "deep" / "run.sh", os.X_OK)


def test_later_changes_do_not_reach_it(tmp_path: Path, source: Path) -> None:
    snapshots = Snapshots(tmp_path / "data")
    first = snapshots.take(source, ignored=False)
    (source / "a.txt").write_text("b")
    second = snapshots.take(source, ignored=False)
    assert first != second
    assert [(snapshots.path(digest) / "a.txt").read_text() for digest in (first, second)] == ["a", "b"]


def test_equal_folders_are_kept_once(tmp_path: Path, source: Path) -> None:
    snapshots = Snapshots(tmp_path / "data")
    assert snapshots.take(source, ignored=False) == snapshots.take(source, ignored=False)
    assert len(list((tmp_path / "data" / "snapshots").iterdir())) == 1


def test_many_may_keep_the_same_folder_at_once(tmp_path: Path, source: Path) -> None:
    for round_ in range(20):
        snapshots = Snapshots(tmp_path / f"data-{round_}")
        together = Barrier(8)

        def take(_: int, snapshots: Snapshots = snapshots, together: Barrier = together) -> str:
            together.wait()
            return snapshots.take(source, ignored=False)

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(take, range(8)))) == 1


def test_what_git_ignores_is_left_out_unless_it_is_asked_for(tmp_path: Path, source: Path) -> None:
    (source / ".gitignore").write_text("*.log\n/build/\n")
    (source / "deep" / ".gitignore").write_text("!kept.log\n")
    for name in ("x.log", "deep/y.log", "deep/kept.log"):
        (source / name).write_text("")
    (source / "build").mkdir()
    (source / "build" / "big").write_text("")
    snapshots = Snapshots(tmp_path / "data")
    without = names(snapshots.path(snapshots.take(source, ignored=False)))
    assert not without & {"x.log", "deep/y.log", "build", "build/big"}
    assert "deep/kept.log" in without
    everything = names(snapshots.path(snapshots.take(source, ignored=True)))
    assert {"x.log", "deep/y.log", "build/big"} <= everything


def test_sockets_are_left_out(tmp_path: Path, source: Path) -> None:
    os.mkfifo(source / "pipe")
    snapshots = Snapshots(tmp_path / "data")
    assert "pipe" not in names(snapshots.path(snapshots.take(source, ignored=False)))


def test_a_folder_that_cannot_be_read_is_refused_by_name_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-such"):
        Snapshots(tmp_path / "data").take(tmp_path / "no-such" / "x", ignored=False)
    assert not list((tmp_path / "data").glob("snapshots/*"))


def test_unused_ones_are_removed(tmp_path: Path, source: Path) -> None:
    snapshots = Snapshots(tmp_path / "data")
    first = snapshots.take(source, ignored=False)
    (source / "a.txt").write_text("b")
    second = snapshots.take(source, ignored=False)
    assert snapshots.remove_except({second}, unused_since=time.time() + 60) == 1
    assert not snapshots.path(first).exists()
    assert snapshots.path(second).is_dir()
