"""Without pasta and slirp4netns, root's commands reach other machines by address translation, and nothing of their own.

Everything happens in network namespaces: the rules of the machine that the tests run on are not touched.
"""

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.embedded_engine.sandbox.gateway import RANGES, free_ranges, is_allowed
from task_manager.embedded_engine.sandbox.uplink import outer_name_servers
from tests.embedded_engine.conftest import connected, shell
from tests.embedded_engine.engine import COMMAND, EngineProcess
from tests.embedded_engine.machine import ADDRESS, NEIGHBOUR, Listener, Machine, fetch, only_programs
from tests.embedded_engine.waiting import wait_until
from tests.environment.packages import require
from tests.environment.processes import descendants

ENDED_WITHIN_SECONDS = 60
needs_root = pytest.mark.skipif(not is_allowed(), reason="only root can translate addresses")


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment with nft alone."""
    require("nftables")
    return only_programs(tmp_path / "bin", "nft")


@pytest.fixture
def session(machine: Machine, tmp_path: Path, programs: dict[str, str]) -> Iterator[EngineProcess]:
    """A session on the machine."""
    with machine.session(tmp_path / "state", programs) as running:
        yield running


def shown(machine: Machine, *command: str) -> str:
    """Returns what a command says on the machine."""
    return subprocess.run(machine.command(*command), check=True, capture_output=True, text=True).stdout


def left_behind(machine: Machine) -> str:
    """Returns the rules and the interfaces of gateways on the machine."""
    links = [line for line in shown(machine, "ip", "-brief", "link").splitlines() if line.startswith("tm")]
    return shown(machine, "nft", "list", "tables") + "".join(links)


@needs_root
async def test_a_command_reaches_other_machines_but_nothing_of_the_host(
    machine: Machine, session: EngineProcess, offline_busybox: str, outside: Listener, inside: Listener
) -> None:
    with closing(Listener(machine, "0.0.0.0")) as everywhere:  # noqa: S104 - the machine's
        own = ("127.0.0.1", ADDRESS, "$(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p')")
        closed = [fetch(address, listener.port) for address in own for listener in (inside, everywhere)]
        async with connected(session) as dag:
            busybox = dag.container().from_(offline_busybox)
            asked = busybox.with_exec(shell("; ".join([fetch(outside.address, outside.port), *closed])))
            assert (await asked.stdout()).split() == ["here", *["nothing"] * len(closed)]
        assert (outside.accepted, inside.accepted, everywhere.accepted) == (1, 0, 0)


@needs_root
async def test_a_service_goes_out_too_and_cannot_be_reached_past_its_binding(
    session: EngineProcess, offline_busybox: str, outside: Listener
) -> None:
    out = fetch(outside.address, outside.port)
    async with connected(session) as dag:
        busybox = dag.container().from_(offline_busybox)
        serve = (
            f"({out}; ip -o -4 addr show out0 | sed 's/.* inet \\([0-9.]*\\).*/\\1/') > /tmp/f; httpd -f -p 80 -h /tmp"
        )
        service = busybox.with_exposed_port(80).as_service(args=shell(serve))
        ask = f"wget -qO- http://web/f | tee /tmp/f; {out}; timeout 1 wget -qO- http://$(tail -n1 /tmp/f)/f || echo no"
        told = await busybox.with_service_binding("web", service).with_exec(shell(ask)).stdout()
    assert [line for line in told.split() if not line.startswith("10.")] == ["here", "here", "no"]


@needs_root
@pytest.mark.parametrize("way", ["close", "kill"])
async def test_nothing_of_a_session_is_left_on_the_host(
    machine: Machine, session: EngineProcess, offline_busybox: str, way: str
) -> None:
    async with connected(session) as dag:
        await dag.container().from_(offline_busybox).with_exec(["true"]).sync()
        assert "task_manager_engine_" in left_behind(machine)
    (session.close if way == "close" else session.kill)()
    wait_until(lambda: not left_behind(machine), seconds=ENDED_WITHIN_SECONDS)


@needs_root
def test_what_a_killed_gateway_left_goes_with_the_next_session(
    machine: Machine, tmp_path: Path, programs: dict[str, str]
) -> None:
    with machine.session(tmp_path / "one", programs) as session:
        own = Path("/proc/self/ns/user").readlink()
        (gateway,) = (
            process
            for process in descendants(session.process.pid) - {session.process.pid}
            if Path(f"/proc/{process}/ns/user").readlink() == own
        )
        os.kill(gateway, signal.SIGKILL)
        session.kill()
    assert "task_manager_engine_" in left_behind(machine)
    with machine.session(tmp_path / "two", programs):
        assert shown(machine, "nft", "list", "tables").count("task_manager_engine_") == 1
    wait_until(lambda: not left_behind(machine), seconds=ENDED_WITHIN_SECONDS)


@needs_root
def test_two_sessions_at_once_have_addresses_and_rules_of_their_own(
    machine: Machine, tmp_path: Path, programs: dict[str, str]
) -> None:
    with machine.session(tmp_path / "one", programs), machine.session(tmp_path / "two", programs):
        assert shown(machine, "nft", "list", "tables").split("table ip ")[1:] == [
            "task_manager_engine_215\n",
            "task_manager_engine_216\n",
        ]
    wait_until(lambda: not left_behind(machine), seconds=ENDED_WITHIN_SECONDS)


@needs_root
def test_the_doctor_says_that_addresses_are_translated(
    machine: Machine, tmp_path: Path, programs: dict[str, str]
) -> None:
    command = machine.command(*COMMAND, "doctor", "--json", "--state-dir", str(tmp_path / "state"))
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **programs}, stdin=subprocess.DEVNULL
    )
    (found,) = (finding for finding in json.loads(done.stdout)["findings"] if finding["name"] == "network")
    assert (found["ok"], found["detail"]) == (
        True,
        f"commands reach other machines by address translation ({programs['PATH']}/nft)",
    )
    wait_until(lambda: not left_behind(machine), seconds=ENDED_WITHIN_SECONDS)


def route(address: str, length: int) -> str:
    """Returns a table of routes as /proc/net/route shows it."""
    mask = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    (destination,) = struct.unpack("=I", socket.inet_aton(address))
    (shown_mask,) = struct.unpack("=I", struct.pack("!I", mask))
    heading = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    return f"{heading}eth0 {destination:08X} 00000000 0001 0 0 0 {shown_mask:08X} 0 0 0\n"


@given(st.sampled_from(RANGES), st.integers(0, 255), st.integers(16, 32))
def test_a_range_that_a_route_leads_into_is_not_taken(number: int, third: int, length: int) -> None:
    assert free_ranges(route(f"10.{number}.{third}.0", length)) == [other for other in RANGES if other != number]


def test_a_route_to_all_private_addresses_leaves_none_and_the_default_route_all() -> None:
    assert free_ranges(route("10.0.0.0", 8)) == []
    assert free_ranges(route("0.0.0.0", 0)) == list(RANGES)  # noqa: S104 - a route
    assert free_ranges(route(NEIGHBOUR, 24)) == list(RANGES)


def test_name_servers_on_the_hosts_loopback_are_left_out_or_replaced_by_those_behind_them() -> None:
    behind = "nameserver 192.0.2.1\n"
    assert outer_name_servers("search a\nnameserver 127.0.0.53\n", behind) == behind
    assert outer_name_servers("nameserver ::1\nnameserver 192.0.2.2\n", behind) == "nameserver 192.0.2.2\n"
    assert outer_name_servers("nameserver 127.0.0.1\n", "") == ""
