"""Sessions that die at random moments, and what has to hold after that.

A round starts a session on a store that earlier rounds have used, lets several pipelines run in it, sometimes with a
`cache prune` beside it, and kills all of it at a random moment, now and then before it has said a word. Then nothing of
it may be left, the next session must find a sound store, and every result must be right.
"""

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.embedded_engine.engine import COMMAND, END_SECONDS, EngineProcess, run_command
from tests.embedded_engine.waiting import until

GONE_WITHIN_SECONDS = 60
_LONGEST_LIFE_SECONDS = 1.2
_PIPELINES = 4
_PRUNED_SHARE = 0.3
_EARLY_SHARE = 0.2
_NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts")
_FILES = 40


@dataclass
class Pipelines:
    """Pipelines of one round, told apart by their names: what they answered before the session died."""

    image: str
    marker: str
    host_folder: Path
    names: tuple[str, ...]
    answered: dict[str, list[str]] = field(default_factory=dict)

    async def run(self, port: int, token: str) -> None:
        """Runs all at once; a session that dies ends it quietly."""
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", auth=(token, ""), timeout=60, trust_env=False
        ) as client:
            await asyncio.gather(*(self._run(client, name) for name in self.names))

    async def _run(self, client: httpx.AsyncClient, name: str) -> None:
        with suppress(httpx.TransportError):
            opened = await _post(client, f'{{host {{directory(path: "{self.host_folder}") {{id}}}}}}')
            data = await _post(client, self._query(name, opened["host"]["directory"]["id"]))
            first = data["container"]["from"]["withNewFile"]["withDirectory"]["withExec"]
            drawn, *lines = (first["stdout"] + first["withExec"]["stdout"]).splitlines()
            assert lines == [*[name] * 7, "300000", "0", str(_FILES)], lines
            self.answered.setdefault(name, []).append(drawn)

    def _query(self, name: str, folder: str) -> str:
        writing = (
            "cat /proc/sys/kernel/random/uuid /in; mkdir /d; for i in 1 2 3 4 5 6; do cat /in > /d/$i; done;"
            f" rm /in; head -c 300000 /dev/zero > /big; : {self.marker}"
        )
        reading = f"cat /d/*; wc -c < /big; ls / | grep -cx in; ls /copied | wc -l; : {self.marker}"
        return (
            f'{{container {{from(address: "{self.image}") {{withNewFile(path: "/in", contents: "{name}\\n")'
            f' {{withDirectory(path: "/copied", source: "{folder}") {{withExec(args: {_shell(writing)})'
            f" {{stdout withExec(args: {_shell(reading)}) {{stdout}}}}}}}}}}}}}}"
        )


@dataclass
class Chaos:
    """Rounds on one store.

    Args:
        state: The store's folder; a name that no other process has on its command line.
        image: What the pipelines run on.
        host_folder: An empty folder, for what they take from the host.
        randomness: Where every choice comes from.
    """

    state: Path
    image: str
    host_folder: Path
    randomness: random.Random
    _completed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(_FILES):
            (self.host_folder / f"f{number}").write_text(str(number))

    async def round(self, number: int) -> None:
        """Kills a session at a random moment and checks what is left, in the next one."""
        pipelines = Pipelines(
            self.image, self.state.name, self.host_folder, tuple(f"{number}-{one}" for one in range(_PIPELINES))
        )
        pruned = self.randomness.random() < _PRUNED_SHARE
        with self._pruning() if pruned else nullcontext():
            namespaces = await (
                self._killed_early() if self.randomness.random() < _EARLY_SHARE else self._killed(pipelines)
            )
        killed = ticks_now()
        with suppress(AssertionError):
            await until(lambda: not leftovers(self.state.name, namespaces, killed), seconds=GONE_WITHIN_SECONDS)
        left = leftovers(self.state.name, namespaces, killed)
        assert left == [], left
        assert mounts_below(self.state) == []
        if pruned:
            self._completed.clear()
        else:
            self._completed.update({name: drawn for name, (drawn, *_) in pipelines.answered.items()})
        await self._check_next_session(pipelines)

    async def _killed(self, pipelines: Pipelines) -> set[tuple[str, int]]:
        engine = EngineProcess(self.state)
        running = asyncio.ensure_future(pipelines.run(engine.port, engine.token))
        try:
            await asyncio.wait([running], timeout=self.randomness.uniform(0, _LONGEST_LIFE_SECONDS))
            return namespaces_of(self.state.name)
        finally:
            engine.kill()
            await running

    async def _killed_early(self) -> set[tuple[str, int]]:
        process = _started("session", "--state-dir", str(self.state))
        try:
            await _ends_or_passes(process, self.randomness.uniform(0, _LONGEST_LIFE_SECONDS))
            return namespaces_of(self.state.name)
        finally:
            _kill(process)

    @contextmanager
    def _pruning(self) -> Iterator[None]:
        """Prunes meanwhile, down to a random size, and is killed with the session."""
        limit = str(self.randomness.randrange(4 << 20))
        process = _started("cache", "prune", "--max-bytes", limit, "--state-dir", str(self.state))
        try:
            yield
        finally:
            _kill(process)

    async def _check_next_session(self, pipelines: Pipelines) -> None:
        with EngineProcess(self.state) as engine:
            own = f"{engine.process.pid}-"
            assert [path.name for path in (self.state / "tmp").iterdir() if not path.name.startswith(own)] == []
            assert [path.name for path in self.state.iterdir() if path.name.startswith(".")] == []
            done = run_command("cache", "verify", "--json", "--state-dir", str(self.state))
            assert done.returncode == 0, done.stdout + done.stderr
            found = json.loads(done.stdout)
            assert (found["damaged"], found["lost"], found["dependents"]) == ([], 0, 0)
            pipelines.answered.clear()
            names = (*pipelines.names, *sorted(self._completed)[-_PIPELINES:])
            again = replace(pipelines, names=tuple(dict.fromkeys(names)))
            await again.run(engine.port, engine.token)
            drawn = {name: answers[0] for name, answers in again.answered.items()}
            assert drawn.keys() == set(names)
            kept = {name: value for name, value in self._completed.items() if name in drawn}
            assert kept == {name: drawn[name] for name in kept}
            self._completed.update(drawn)


def leftovers(marker: str, namespaces: set[tuple[str, int]], killed: int) -> list[str]:
    """Returns the processes that have a marker on their command lines, or are in one of the namespaces.

    Namespaces' numbers are used again at once, so only processes that are older than the kill count by these.

    Args:
        marker: A word.
        namespaces: Kinds and numbers.
        killed: When the session was killed, in clock ticks since boot.
    """
    return [
        f"{process.name}: {words!r}"
        for process, words, started in _processes()
        if marker.encode() in words or (started <= killed and namespaces & _namespaces(process))
    ]


def ticks_now() -> int:
    """Returns the time in clock ticks since boot, as processes' start times are given."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _processes() -> Iterator[tuple[Path, bytes, int]]:
    """Yields every process: its folder, its command line, and when it started in clock ticks since boot."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            # proc_pid_stat(5): the name, field 2, stands in parentheses and may hold anything; the start is field 22.
            after_name = (process / "stat").read_text().rpartition(")")[2].split()
            yield process, (process / "cmdline").read_bytes(), int(after_name[19])


def namespaces_of(marker: str) -> set[tuple[str, int]]:
    """Returns the namespaces, but this process's own, of processes that have a marker on their command lines."""
    own = _namespaces(Path("/proc/self"))
    found: set[tuple[str, int]] = set()
    for process, words, _ in _processes():
        if marker.encode() in words:
            found |= _namespaces(process) - own
    return found


def mounts_below(folder: Path) -> list[str]:
    """Returns the mounts that this machine shows in a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(folder) in line]


def _namespaces(process: Path) -> set[tuple[str, int]]:
    found = set()
    for name in _NAMESPACES:
        with suppress(OSError):
            found.add((name, (process / "ns" / name).stat().st_ino))
    return found


async def _post(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    answer = (await client.post("/query", json={"query": query})).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


def _started(*arguments: str) -> "subprocess.Popen[bytes]":
    nowhere = subprocess.DEVNULL
    return subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere)


async def _ends_or_passes(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Waits for a process, but no longer than some seconds."""
    with suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, seconds)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(END_SECONDS)
    if process.stdin is not None:
        process.stdin.close()


def _shell(script: str) -> str:
    return json.dumps(["sh", "-c", script])
