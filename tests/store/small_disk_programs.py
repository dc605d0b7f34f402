"""What is done on a disk of a few MiB, in a process of its own; it prints what came of it as JSON."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from task_manager.errors import StoreFull
from task_manager.store import Store, tasks
from tests.store.builders import a_task, stored_project, stored_task


def open_on_full(disk: Path) -> dict[str, object]:
    """Opens a store where there is no space."""
    fill(disk)
    try:
        Store.open(disk / "data")
    except StoreFull as error:
        return {"error": error.as_dict()}
    return {"error": None}


def write_until_full(disk: Path) -> dict[str, object]:
    """Stores tasks until there is no space, makes space, stores one more, and opens the store again."""
    told: dict[str, object] = {}
    with Store.open(disk / "data") as store:
        project = stored_project(store)
        kept = [stored_task(store, project).id]
        fill(disk)
        try:
            while len(kept) < 1000:
                kept.append(store.run_sync(tasks.insert, a_task(project, description="x" * 100_000)).id)
        except StoreFull as error:
            told["error"] = error.as_dict()
        told["kept"] = list(kept)
        told["found_on_full_disk"] = [task.id for task in store.run_sync(tasks.of_project, project.id)]
        (disk / "filler").unlink()
        kept.append(stored_task(store, project).id)
    with Store.open(disk / "data") as store:
        found = [task.id for task in store.run_sync(tasks.of_project, project.id)]
    return {**told, "kept_later": kept, "found_later": found}


def fill(disk: Path) -> None:
    """Writes a file until no byte more fits."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (65536, 1):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue


PROGRAMS: dict[str, Callable[[Path], dict[str, object]]] = {
    "open_on_full": open_on_full,
    "write_until_full": write_until_full,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(PROGRAMS[sys.argv[1]](Path(sys.argv[2]))))
