"""Commands reach other machines by pasta or slirp4netns, and nothing of their own machine thereby."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import dagger
import pytest
import pytest_asyncio

from tests.embedded_engine.conftest import connected, shell
from tests.embedded_engine.engine import EngineProcess
from tests.embedded_engine.machine import (
    ADDRESS,
    BEYOND,
    NEIGHBOUR,
    TUNNELS,
    Listener,
    Machine,
    fetch,
    only_programs,
    with_broken_pasta,
)
from tests.embedded_engine.waiting import wait_until
from tests.environment.packages import require
from tests.environment.processes import (
    are_gone,
    descendants,
    mounted_namespaces,
    network_namespaces,
    processes_within,
)

# The gateway and the name server of the uplink, and where the session's bridge is.
INNER_ADDRESSES = ("127.0.0.1", "10.214.0.1", "10.214.0.2", "10.214.0.3", "10.213.0.1", "[::1]")


@pytest.fixture(params=["pasta", "slirp4netns"])
def session(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Iterator[EngineProcess]:
    """A session on the machine that finds one of the programs that connect networks."""
    with carried(machine, tmp_path, request.param) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def uplinked(machine: Machine, tmp_path: Path) -> AsyncIterator[dagger.Client]:
    """A client of a session on the machine, with pasta."""
    with carried(machine, tmp_path, "pasta") as running:
        async with connected(running) as client:
            yield client


def carried(machine: Machine, folder: Path, name: str) -> AbstractContextManager[EngineProcess]:
    """Returns a session that finds one program that connects networks; skips the test where that cannot be."""
    require({"pasta": "passt"}.get(name, name))
    require_tunnels()
    return machine.session(folder / "state", only_programs(folder / "bin", name))


def require_tunnels() -> None:
    """Skips the running test where no program may connect networks."""
    if not os.access(TUNNELS, os.R_OK | os.W_OK):
        pytest.skip(f"{TUNNELS} cannot be opened by this user")


def at_once(scripts: Sequence[str]) -> list[str]:
    """Returns the command that runs scripts at the same time, and prints what each printed, in their order."""
    started = "".join(f"({script}) > /tmp/{number} & " for number, script in enumerate(scripts))
    return shell(f"{started} wait; cat {' '.join(f'/tmp/{number}' for number in range(len(scripts)))}")


async def test_a_command_reaches_other_machines_but_not_the_hosts_loopback(
    offline_busybox: str, session: EngineProcess, outside: Listener, inside: Listener
) -> None:
    closed = [fetch(address, inside.port) for address in (*INNER_ADDRESSES, ADDRESS, NEIGHBOUR)]
    async with connected(session) as dag:
        asked = (
            dag.container().from_(offline_busybox).with_exec(at_once([fetch(outside.address, outside.port), *closed]))
        )
        assert (await asked.stdout()).split() == ["here", *["nothing"] * len(closed)]
    assert (outside.accepted, inside.accepted) == (1, 0)


async def test_a_datagram_reaches_other_machines_but_not_the_hosts_loopback(
    offline_busybox: str, session: EngineProcess, machine: Machine
) -> None:
    with machine.listening("127.0.0.1", datagrams=True) as near, machine.listening(BEYOND, datagrams=True) as far:
        targets = [(address, near.getsockname()[1]) for address in INNER_ADDRESSES if address != "[::1]"]
        sent = [
            f"timeout 1 tftp -g -r from-a-command -l /dev/null {address} {port}"
            for address, port in (*targets, far.getsockname())
        ]
        async with connected(session) as dag:
            await dag.container().from_(offline_busybox).with_exec(at_once(sent)).sync()
        far.settimeout(5)
        assert b"from-a-command" in far.recv(100)
        near.setblocking(False)
        with pytest.raises(BlockingIOError):
            near.recv(100)


async def test_a_service_and_who_uses_it_reach_other_machines(
    uplinked: dagger.Client, offline_busybox: str, outside: Listener
) -> None:
    busybox = uplinked.container().from_(offline_busybox)
    serve = f"({fetch(outside.address, outside.port)}) > /tmp/f; httpd -f -p 80 -h /tmp"
    service = busybox.with_exposed_port(80).as_service(args=shell(serve))
    script = f"wget -qO- http://web/f; {fetch(outside.address, outside.port)}"
    assert await busybox.with_service_binding("web", service).with_exec(shell(script)).stdout() == "here\nhere\n"


async def test_two_commands_do_not_reach_each_other(uplinked: dagger.Client, offline_busybox: str) -> None:
    busybox = uplinked.container().from_(offline_busybox)
    service = busybox.with_exposed_port(80).as_service(args=shell("echo up > /tmp/f; httpd -f -p 80 -h /tmp"))
    base = busybox.with_service_binding("web", service)
    base = base.with_mounted_cache("/meet", uplinked.cache_volume("two-commands-meet"))
    listen = (
        "rm -f /meet/*; httpd -p 8123 -h /tmp; echo here > /tmp/f; wget -qO- http://127.0.0.1:8123/f;"
        "ip -o -4 addr | sed 's/.* inet \\([0-9.]*\\).*/\\1/' > /meet/own; mv /meet/own /meet/addresses;"
        "while ! test -e /meet/done; do sleep 0.05; done"
    )
    ask = (
        "while ! test -e /meet/addresses; do sleep 0.05; done; wget -qO- http://web/f;"
        "for address in $(cat /meet/addresses); do timeout 1 wget -qO- http://$address:8123/f || echo nothing; done;"
        "touch /meet/done"
    )
    listened, asked = await asyncio.gather(
        base.with_exec(shell(listen)).stdout(), base.with_exec(shell(f"({ask}) 2>/dev/null")).stdout()
    )
    assert listened == "here\n"
    assert asked.split() == ["up", "nothing", "nothing", "nothing"]


async def test_nothing_of_a_commands_connections_is_left_to_the_next(
    uplinked: dagger.Client, offline_busybox: str
) -> None:
    connect = "httpd -p 8123 -h /tmp; echo hi > /tmp/f; wget -qO- http://127.0.0.1:8123/f"
    count = "awk '/^Tcp:/ {opened = $6 + $7} /^Udp:/ {sent = $5} END {print opened, sent}' /proc/net/snmp"
    for number in range(4):
        busybox = uplinked.container().from_(offline_busybox).with_env_variable("NUMBER", str(number))
        assert await busybox.with_exec(shell(f"{count}; {connect}")).stdout() == "0 0\nhi\n"


async def test_the_label_leaves_a_command_its_loopback_alone(
    uplinked: dagger.Client, offline_busybox: str, outside: Listener
) -> None:
    base = uplinked.container().from_(offline_busybox).with_label("task-manager.network", "none")
    seen = await base.with_exec(shell(f"ls /sys/class/net; {fetch(outside.address, outside.port)}")).stdout()
    assert seen == "lo\nnothing\n"


async def test_a_program_that_connects_nothing_is_reported_and_stops_no_command(
    offline_busybox: str, tmp_path: Path, machine: Machine
) -> None:
    require_tunnels()
    environment = with_broken_pasta(tmp_path / "bin")
    with machine.session(tmp_path / "state", environment) as session:
        async with connected(session) as dag:
            for number in range(5):
                seen = dag.container().from_(offline_busybox).with_env_variable("NUMBER", str(number))
                assert await seen.with_exec(["ls", "/sys/class/net"]).stdout() == "lo\n"
        assert session.log().count("commands reach no other machine") == 1
    assert (tmp_path / "bin/starts").read_text().count("started") <= 4


@pytest.mark.parametrize("way", ["close", "kill"])
async def test_no_process_and_no_network_outlives_the_session(
    offline_busybox: str, session: EngineProcess, way: str
) -> None:
    async with connected(session) as dag:
        base = dag.container().from_(offline_busybox)
        service = base.with_exposed_port(80).as_service(args=["httpd", "-f", "-p", "80"])
        await base.with_service_binding("web", service).with_exec(["true"]).sync()
        started = descendants(session.process.pid)
        made = network_namespaces(started) - network_namespaces({session.process.pid})
        inside = processes_within(made)
    assert made
    (session.close if way == "close" else session.kill)()
    wait_until(lambda: are_gone(started | inside), seconds=5)
    assert not mounted_namespaces()
