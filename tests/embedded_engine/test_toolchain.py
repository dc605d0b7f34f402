"""The host's toolchain as a container: its programs and the running Python, read-only, and nothing else of the host."""

import sys
import time
from pathlib import Path

import dagger
import pytest

from task_manager.embedded_engine.toolchain import HostToolchain
from tests.embedded_engine.conftest import shell

REFERENCE = "task-manager.invalid/host-toolchain"


@pytest.fixture
def toolchain(dag: dagger.Client) -> dagger.Container:
    return dag.container().from_(REFERENCE)


async def test_the_running_python_comes_first_with_its_packages(toolchain: dagger.Container) -> None:
    ran = toolchain.with_exec(["python", "-c", "import sys, graphql; print(sys.prefix)"])
    assert await ran.stdout() == f"{sys.prefix}\n"


async def test_the_systems_programs_run(toolchain: dagger.Container) -> None:
    assert (
        await toolchain.with_exec(shell("test -x /bin/sh && ls /usr/bin >/dev/null && echo fine")).stdout() == "fine\n"
    )


async def test_nothing_of_the_host_can_be_written(toolchain: dagger.Container) -> None:
    tried = toolchain.with_exec(
        shell(f"for d in /usr /bin /lib /etc/ssl {sys.prefix}; do touch $d/x 2>/dev/null && echo $d; done; true")
    )
    assert await tried.stdout() == ""


async def test_nothing_else_of_the_host_is_there(toolchain: dagger.Container, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    seen = toolchain.with_exec(shell(f"ls -A /var /run /home /srv /mnt {tmp_path} 2>/dev/null; ls -A /tmp ~; true"))
    listed = (await seen.stdout()).split()
    assert "secret" not in listed
    on_the_way = {part for prefix in (sys.prefix, sys.base_prefix) for part in Path(prefix).parts}
    assert [name for name in listed if not name.startswith(("/", ".")) and name not in on_the_way] == []
    sockets = toolchain.with_exec(shell("find / -xdev -type s 2>/dev/null; true"))
    assert await sockets.stdout() == ""


async def test_only_root_and_nobody_have_accounts(toolchain: dagger.Container) -> None:
    names = await toolchain.with_exec(["cut", "-d:", "-f1", "/etc/passwd"]).stdout()
    assert names == "root\nnobody\n"


async def test_what_commands_write_is_kept_for_the_next(toolchain: dagger.Container) -> None:
    wrote = toolchain.with_exec(shell("mkdir -p /inside; echo 1 > /inside/a; echo 2 > /tmp/b; echo 3 > ~/c"))
    assert await wrote.with_exec(shell("cat /inside/a /tmp/b ~/c")).stdout() == "1\n2\n3\n"
    assert await wrote.directory("/inside").entries() == ["a"]


async def test_the_reference_has_a_digest_that_is_stable(dag: dagger.Client) -> None:
    one, two = [await dag.container().from_(REFERENCE).image_ref() for _ in range(2)]
    assert one == two
    assert one.startswith(f"{REFERENCE}@sha256:")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A Python prefix with one package."""
    package = tmp_path / "lib/python3.11/site-packages"
    (package / "thing").mkdir(parents=True)
    (package / "thing/__init__.py").write_text("")
    (package / "thing-1.0.dist-info").mkdir()
    (package / "thing-1.0.dist-info/RECORD").write_text("")
    return tmp_path


def test_an_upgraded_package_changes_the_digest(prefix: Path) -> None:
    before = HostToolchain([str(prefix)]).fingerprint()
    assert HostToolchain([str(prefix)]).fingerprint() == before
    packages = prefix / "lib/python3.11/site-packages"
    (packages / "thing-1.0.dist-info").rename(packages / "thing-1.1.dist-info")
    assert HostToolchain([str(prefix)]).fingerprint() != before


def test_a_reinstalled_package_changes_the_digest(prefix: Path) -> None:
    before = HostToolchain([str(prefix)]).fingerprint()
    record = prefix / "lib/python3.11/site-packages/thing-1.0.dist-info/RECORD"
    record.unlink()
    record.write_text(f"{time.time()}")
    assert HostToolchain([str(prefix)]).fingerprint() != before


def test_cached_bytecode_does_not_change_the_digest(prefix: Path) -> None:
    before = HostToolchain([str(prefix)]).fingerprint()
    for folder in ("__pycache__", "thing/__pycache__"):
        (prefix / "lib/python3.11/site-packages" / folder).mkdir()
    assert HostToolchain([str(prefix)]).fingerprint() == before


def test_a_prefix_inside_another_or_the_system_is_bound_once(tmp_path: Path) -> None:
    targets = [mount.target for mount in HostToolchain([f"{tmp_path}/env", str(tmp_path), "/usr"]).mounts()]
    assert str(tmp_path) in targets
    assert f"{tmp_path}/env" not in targets
    assert targets.count("/usr") == 1
