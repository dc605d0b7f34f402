"""What commands reach over a network without help from other programs: never the machine's own."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagger
import pytest

from task_manager.embedded_engine.sandbox.uplink import NAME_SERVER, reachable_name_servers
from tests.embedded_engine.conftest import connected, shell
from tests.embedded_engine.engine import run_command
from tests.embedded_engine.machine import TUNNELS, Listener, Machine, fetch, only_programs, with_broken_pasta


async def test_without_a_program_to_connect_it_a_command_has_its_loopback_alone(
    offline_busybox: str, tmp_path: Path, machine: Machine, inside: Listener
) -> None:
    with machine.session(tmp_path / "state", only_programs(tmp_path / "bin")) as session:
        async with connected(session) as dag:
            seen = dag.container().from_(offline_busybox).with_exec(shell("ls /sys/class/net; ip route | wc -l"))
            assert await seen.stdout() == "lo\n0\n"
            asked = dag.container().from_(offline_busybox).with_exec(shell(fetch("127.0.0.1", inside.port)))
            assert await asked.stdout() == "nothing\n"


async def test_the_log_tells_once_why_failing_commands_reached_nothing(
    offline_busybox: str, tmp_path: Path, machine: Machine
) -> None:
    with machine.session(tmp_path / "state", only_programs(tmp_path / "bin")) as session:
        async with connected(session) as dag:
            for command in (["true"], ["false"], ["sh", "-c", "exit 2"]):
                with suppress(dagger.ExecError):
                    await dag.container().from_(offline_busybox).with_exec(command).sync()
                told = session.log().count("reach no other machine: neither pasta nor slirp4netns is installed")
                assert told == (command != ["true"])


@pytest.mark.parametrize("case", [("host", "here\n"), ("none", "nothing\n")])
async def test_the_setting_gives_the_hosts_network_or_none(
    offline_busybox: str, tmp_path: Path, machine: Machine, inside: Listener, case: tuple[str, str]
) -> None:
    network, answer = case
    environment = {"TASK_MANAGER_ENGINE_NETWORK": network}
    with machine.session(tmp_path / "state", environment) as session:
        async with connected(session) as dag:
            asked = dag.container().from_(offline_busybox).with_exec(shell(fetch(inside.address, inside.port)))
            assert await asked.stdout() == answer


@pytest.mark.parametrize(
    ("setting", "detail"),
    [("host", "commands share the host's, loopback included"), ("none", "since the setting network is none")],
)
def test_the_doctor_tells_what_the_setting_gives(tmp_path: Path, setting: str, detail: str) -> None:
    found = network_finding(tmp_path, {"TASK_MANAGER_ENGINE_NETWORK": setting})
    assert (found["ok"], found["remedy"]) == (True, "")
    assert detail in found["detail"]


def test_the_doctor_names_the_programs_to_install(tmp_path: Path) -> None:
    found = network_finding(tmp_path, only_programs(tmp_path / "bin"))
    assert (found["ok"], found["required"]) == (False, False)
    assert "neither pasta nor slirp4netns is installed" in found["detail"]
    assert "Install pasta (package passt) or slirp4netns" in found["remedy"]
    assert "TASK_MANAGER_ENGINE_NETWORK=host" in found["remedy"]


def test_the_doctor_tells_why_an_installed_program_is_of_no_use(tmp_path: Path) -> None:
    found = network_finding(tmp_path, with_broken_pasta(tmp_path / "bin"))
    assert not found["ok"]
    reason = "no such tunnel" if os.access(TUNNELS, os.R_OK | os.W_OK) else f"{TUNNELS} cannot be opened"
    assert reason in found["detail"]


def network_finding(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Returns what `doctor` finds out about the network of commands."""
    done = run_command("doctor", "--json", "--state-dir", str(folder / "state"), environment=environment)
    assert done.returncode == 0
    (found,) = (finding for finding in json.loads(done.stdout)["findings"] if finding["name"] == "network")
    return dict(found)


def test_a_network_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = run_command(
        "session", "--state-dir", str(tmp_path / "state"), environment={"TASK_MANAGER_ENGINE_NETWORK": "x"}
    )
    assert done.returncode == 2
    assert "TASK_MANAGER_ENGINE_NETWORK must be auto, host or none" in done.stderr


def test_name_servers_on_the_hosts_loopback_are_asked_through_the_uplink() -> None:
    given = "# made by hand\nsearch example.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\n"
    wanted = f"# made by hand\nsearch example.org\nnameserver {NAME_SERVER}\nnameserver 192.0.2.53\n"
    assert reachable_name_servers(given) == wanted
