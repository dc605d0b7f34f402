"""Squashed layers mean to an overlay what the layers meant, what they remove included."""

import os
import stat
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.embedded_engine.store.squash import squash

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
# What a layer does at a path: write a file, make a folder, or make an opaque folder.
CHANGES = st.lists(st.tuples(st.sampled_from(["file", "folder", "opaque"]), PATHS), max_size=6)
OPAQUE = "user.overlay.opaque"


def write_layer(folder: Path, changes: list[tuple[str, str]], number: int) -> None:
    """Writes a layer; a change that contradicts an earlier one of the same layer is left out."""
    folder.mkdir(parents=True)
    for kind, path in changes:
        target = folder / path
        if any(parent.is_file() for parent in target.parents) or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            target.write_text(f"{number} {path}")
        else:
            target.mkdir()
            if kind == "opaque":
                os.setxattr(target, OPAQUE, b"y")


def is_opaque(folder: Path) -> bool:
    """Returns whether a folder hides those of the same path below it."""
    return OPAQUE in os.listxattr(folder)


def merged(layers: list[Path]) -> dict[str, str]:
    """Returns what an overlay of layers, lowest first, shows: contents by path, None for folders."""
    shown: dict[str, str] = {}
    for layer in layers:
        _apply(layer, "", shown)
    return shown


def _apply(folder: Path, below: str, shown: dict[str, str]) -> None:
    for child in sorted(folder.iterdir()):
        path = f"{below}{child.name}"
        inside = [known for known in shown if known.startswith(f"{path}/")]
        if child.is_dir():
            if is_opaque(child) or shown.get(path, "folder") != "folder":
                for known in inside:
                    del shown[known]
            shown[path] = "folder"
            _apply(child, f"{path}/", shown)
        else:
            for known in inside:
                del shown[known]
            shown[path] = child.read_text()


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4), st.integers(0, 3))
def test_an_overlay_of_the_squashed_layer_shows_the_same(plan: list[list[tuple[str, str]]], kept: int) -> None:

    with tempfile.TemporaryDirectory() as folder:
        layers = [Path(folder) / str(number) for number in range(len(plan))]
        for number, (layer, changes) in enumerate(zip(layers, plan, strict=True)):
            write_layer(layer, changes, number)
        below, above = layers[:kept], layers[kept:]
        target = Path(folder) / "squashed"
        target.mkdir()
        squash(above, target)
        assert merged([*below, target]) == merged(layers)


def test_a_whiteout_stays_a_whiteout(tmp_path: Path) -> None:
    for name in ("low", "high", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/f").write_text("1")
    try:
        os.mknod(tmp_path / "high/f", stat.S_IFCHR, 0)
    except PermissionError:
        (tmp_path / "high/f").write_text("stands for it where devices cannot be made")
    squash([tmp_path / "low", tmp_path / "high"], tmp_path / "target")
    assert (tmp_path / "target/f").lstat().st_ino == (tmp_path / "high/f").lstat().st_ino
