"""Directories and files through the SDK, without any image."""

import os
import socket
from pathlib import Path

import dagger
import pytest


async def test_entries_of_a_folder_below_end_in_a_slash_where_they_are_folders(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("sub/inner/f", "1").with_symlink("inner", "sub/link")
    assert await tree.entries(path="sub") == ["inner/", "link"]


async def test_a_path_cannot_lead_out_of_its_directory(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("sub/f", "1").with_new_file("top", "2")
    with pytest.raises(dagger.QueryError, match="path cannot escape directory"):
        await tree.directory("sub").file("../top").contents()


async def test_a_link_cannot_lead_out_of_the_tree(dag: dagger.Client) -> None:
    tree = dag.directory().with_symlink("/etc/passwd", "absolute").with_symlink("../../../../etc/passwd", "relative")
    for name in ("absolute", "relative"):
        with pytest.raises(dagger.QueryError, match=f"stat {name}: no such file or directory"):
            await tree.file(name).contents()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda tree: tree.file("none").size(), "stat none: no such file or directory"),
        (lambda tree: tree.directory("none").entries(), "stat none: no such file or directory"),
        (lambda tree: tree.file("sub").size(), "path sub is a directory, not a file"),
        (lambda tree: tree.directory("f").entries(), "path f is a file, not a directory"),
    ],
)
async def test_wrong_paths_are_told_in_a_system_calls_words(dag: dagger.Client, call, message: str) -> None:  # type: ignore[no-untyped-def]
    tree = dag.directory().with_new_file("f", "1").with_new_directory("sub")
    with pytest.raises(dagger.QueryError, match=message):
        await call(tree)


async def test_modes_are_kept_and_set(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("f", "1", permissions=0o600).with_new_directory("d", permissions=0o700)
    assert await tree.stat("f").permissions() == 0o600
    assert await tree.stat("d").permissions() == 0o700
    copied = dag.directory().with_file("g", tree.file("f")).with_file("h", tree.file("f"), permissions=0o755)
    assert await copied.stat("g").permissions() == 0o600
    assert await copied.stat("h").permissions() == 0o755


async def test_a_file_copied_to_a_folder_keeps_its_name(dag: dagger.Client) -> None:
    file = dag.file("name", "1")
    assert await dag.directory().with_file("sub/", file).entries(path="sub") == ["name"]
    assert await dag.directory().with_files("many", [file, dag.file("two", "2")]).entries(path="many") == [
        "name",
        "two",
    ]


async def test_copying_merges_folders_and_replaces_files(dag: dagger.Client) -> None:
    below = dag.directory().with_new_file("d/kept", "1").with_new_file("d/both", "old").with_new_file("x", "file")
    above = dag.directory().with_new_file("d/both", "new").with_new_file("x/inside", "folder")
    merged = below.with_directory("/", above)
    assert await merged.glob("**") == ["d/", "d/both", "d/kept", "x/", "x/inside"]
    assert await merged.file("d/both").contents() == "new"


async def test_a_directory_takes_gitignore_files_into_account_when_asked(dag: dagger.Client) -> None:
    tree = (
        dag.directory()
        .with_new_file(".gitignore", "*.log\n/build/\n")
        .with_new_file("a.log", "")
        .with_new_file("a.txt", "")
    )
    tree = (
        tree.with_new_file("build/out", "")
        .with_new_file("sub/build/kept", "")
        .with_new_file("sub/.gitignore", "!a.log\n")
    )
    tree = tree.with_new_file("sub/a.log", "")
    assert await tree.filter(gitignore=True).glob("**") == [
        *(".gitignore", "a.txt", "sub/", "sub/.gitignore", "sub/a.log", "sub/build/", "sub/build/kept"),
    ]


async def test_links_are_copied_as_links(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("target", "1").with_symlink("target", "link")
    copied = dag.directory().with_directory("d", tree)
    assert await copied.exists("d/link", expected_type=dagger.ExistsType.SYMLINK_TYPE)
    assert await copied.file("d/link").contents() == "1"


async def test_existence_may_ask_for_a_kind(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("f", "").with_new_directory("d").with_symlink("nowhere", "dangling")
    assert await tree.exists("f", expected_type=dagger.ExistsType.REGULAR_TYPE)
    assert not await tree.exists("f", expected_type=dagger.ExistsType.DIRECTORY_TYPE)
    assert not await tree.exists("dangling")
    assert await tree.exists("dangling", do_not_follow_symlinks=True)


async def test_files_are_removed_by_pattern(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("a.log", "").with_new_file("b.log", "").with_new_file("c.txt", "")
    assert await tree.without_file("*.log").entries() == ["c.txt"]
    assert await tree.without_files(["a.log", "absent"]).entries() == ["b.log", "c.txt"]


async def test_timestamps_are_set_everywhere(dag: dagger.Client, tmp_path: Path) -> None:
    tree = dag.directory().with_new_file("d/f", "1").with_timestamps(1_000_000)
    await tree.export(str(tmp_path / "out"))
    assert (tmp_path / "out/d/f").stat().st_mtime == 1_000_000
    assert (tmp_path / "out/d").stat().st_mtime == 1_000_000


async def test_equal_content_has_an_equal_digest_however_it_came_to_be(dag: dagger.Client) -> None:
    one = dag.directory().with_new_file("a", "1").with_new_file("b", "2")
    other = dag.directory().with_new_file("b", "2").with_new_file("c", "3").with_new_file("a", "1").without_file("c")
    assert await one.digest() == await other.digest()
    assert await one.digest() != await one.with_new_file("a", "x").digest()


async def test_a_difference_has_what_is_new_or_changed(dag: dagger.Client) -> None:
    old = dag.directory().with_new_file("same/f", "1").with_new_file("changed", "1").with_new_file("gone", "1")
    new = dag.directory().with_new_file("same/f", "1").with_new_file("changed", "2").with_new_file("new/f", "1")
    assert await old.diff(new).glob("**") == ["changed", "new/", "new/f"]


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"all": True}, "x y\nx y\nx\n"),
        ({"first_from": 2}, "a y\nx y\na\n"),
    ],
)
async def test_text_is_replaced(dag: dagger.Client, changes: dict[str, int], result: str) -> None:
    file = dag.file("f", "a y\na y\na\n")
    assert await file.with_replaced("a", "x", **changes).contents() == result  # type: ignore[arg-type]


async def test_text_that_is_there_several_times_is_named_by_place(dag: dagger.Client) -> None:
    file = dag.file("f", "one\ntwo one\n")
    with pytest.raises(dagger.QueryError, match=r"search string found multiple times: line 1 \(0-3\), line 2 \(4-7\)"):
        await file.with_replaced("one", "x").contents()
    with pytest.raises(dagger.QueryError, match="search string not found"):
        await file.with_replaced("absent", "x").contents()


async def test_lines_of_a_file_are_read(dag: dagger.Client) -> None:
    file = dag.file("f", "1\n2\n3\n4\n")
    assert await file.contents(offset_lines=1, limit_lines=2) == "2\n3\n"


async def test_find_up_goes_towards_the_root(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("a/marker", "").with_new_directory("a/b/c")
    assert await tree.find_up("marker", "a/b/c") == "a/marker"
    assert await tree.find_up("absent", "a/b/c") is None


async def test_a_host_folder_comes_without_its_owners_and_with_its_modes(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("run.sh")
    tree = dag.host().directory(str(tmp_path))
    assert await tree.entries() == ["link", "run.sh"]
    assert await tree.stat("run.sh").permissions() == 0o755


async def test_a_session_reads_a_host_folder_once_unless_told_otherwise(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    assert await dag.host().directory(str(tmp_path)).file("f").contents() == "old"
    (tmp_path / "f").write_text("new")
    assert await dag.host().directory(str(tmp_path)).file("f").contents() == "old"
    assert await dag.host().directory(str(tmp_path), no_cache=True).file("f").contents() == "new"


async def test_a_host_folder_may_be_filtered_by_its_gitignore(dag: dagger.Client, tmp_path: Path) -> None:
    """In a repository, and then also by those above it; a folder that is ignored itself is not there."""
    (tmp_path / ".gitignore").write_text("*.tmp\n/sub/*.log\n!sub/kept.log\nbuilt/\n")
    for name in ("a.tmp", "b", "sub/c.tmp", "sub/d.log", "sub/kept.log", "sub/e", "built/f"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    host = dag.host()
    outside = await host.directory(str(tmp_path), gitignore=True).entries()
    assert outside == [".gitignore", "a.tmp", "b", "built/", "sub/"]
    (tmp_path / ".git").mkdir()
    root = host.directory(str(tmp_path), gitignore=True, no_cache=True)
    assert await root.entries() == [".git/", ".gitignore", "b", "sub/"]
    assert await host.directory(str(tmp_path / "sub"), gitignore=True).entries() == ["e", "kept.log"]
    with pytest.raises(dagger.QueryError, match="built: no such file or directory"):
        await host.directory(str(tmp_path / "built"), gitignore=True).entries()


async def test_what_a_host_folder_has_no_meaning_for_is_left_out(dag: dagger.Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert await dag.host().directory(str(tmp_path)).entries() == ["pipe"]


async def test_export_replaces_files_whole_and_keeps_others(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept").write_text("1")
    (tmp_path / "out/f").write_text("old")
    assert await dag.directory().with_new_file("f", "new").export(str(tmp_path / "out")) == str(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f", "kept"]
    assert (tmp_path / "out/f").read_text() == "new"
    await dag.directory().with_new_file("f", "2").export(str(tmp_path / "out"), wipe=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["f"]


async def test_export_of_a_file_keeps_its_mode(dag: dagger.Client, tmp_path: Path) -> None:
    await dag.file("x", "1", permissions=0o755).export(str(tmp_path / "deep/x"))
    assert (tmp_path / "deep/x").stat().st_mode & 0o777 == 0o755
    with pytest.raises(dagger.QueryError, match="is a directory"):
        await dag.file("x", "1").export(str(tmp_path))
    await dag.file("y", "1").export(str(tmp_path), allow_parent_dir_path=True)
    assert (tmp_path / "y").exists()


async def test_export_to_where_nothing_can_be_written_is_an_error(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(dagger.QueryError, match="cannot export to"):
        await dag.directory().with_new_file("f", "1").export(str(tmp_path / "file" / "out"))


async def test_what_is_in_the_way_of_a_change_is_named(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("folder/file", "1")
    for changed, said in (
        (tree.with_new_file("folder", "x"), "/folder: is a directory"),
        (tree.with_new_directory("folder/file"), "/folder/file: not a directory"),
        (tree.with_new_file("folder/file/deeper", "x"), "/folder/file: not a directory"),
    ):
        with pytest.raises(dagger.QueryError, match=f"^{said}"):
            await changed.sync()
