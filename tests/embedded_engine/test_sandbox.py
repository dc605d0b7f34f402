"""What a command can reach: its own files and processes, and nothing of the session or the host."""

import os
from pathlib import Path

import dagger
import pytest

from tests.embedded_engine.conftest import shell


async def test_a_container_without_network_has_its_own_loopback_alone(busybox: dagger.Container) -> None:
    base = busybox.with_label("task-manager.network", "none")
    assert await base.with_exec(shell("ls /sys/class/net; ip -o addr | grep -c ' 127.0.0.1/8 '")).stdout() == "lo\n1\n"
    serve = "httpd -p 127.0.0.1:8123 -h /tmp; echo hi > /tmp/f; wget -qO- http://127.0.0.1:8123/f"
    assert await base.with_exec(shell(serve)).stdout() == "hi\n"


async def test_names_are_resolved_by_files_of_the_engine(busybox: dagger.Container) -> None:
    seen = busybox.with_exec(shell("grep -c localhost /etc/hosts; test -f /etc/resolv.conf && echo resolver"))
    assert await seen.stdout() == "2\nresolver\n"
    assert await seen.rootfs().directory("etc").entries() == ["passwd"]


async def test_a_command_sees_its_own_processes_alone(busybox: dagger.Container) -> None:
    listed = await busybox.with_exec(shell("ls -d /proc/[0-9]*")).stdout()
    assert listed.split() == ["/proc/1", "/proc/2", "/proc/3"][: len(listed.split())]
    assert len(listed.split()) <= 3


async def test_nothing_of_the_sessions_environment_is_seen(busybox: dagger.Container) -> None:
    names = await busybox.with_exec(shell("tr '\\0' '\\n' < /proc/self/environ | cut -d= -f1 | sort")).stdout()
    assert set(names.split()) <= {"PATH", "HOME"}
    first = busybox.with_exec(shell("cat /proc/1/environ /proc/1/maps 2>&1; ls /proc/1/root /proc/1/cwd 2>&1; true"))
    assert "PATH" not in await first.stdout()


async def test_only_standard_streams_are_inherited(busybox: dagger.Container) -> None:
    listed = await busybox.with_exec(shell("ls /proc/$$/fd; true")).stdout()
    assert listed.split() == ["0", "1", "2"]


async def test_privileges_are_those_of_an_ordinary_container(busybox: dagger.Container) -> None:
    status = await busybox.with_exec(["cat", "/proc/self/status"]).stdout()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (facts["NoNewPrivs"], facts["CapBnd"], facts["CapEff"]) == ("1", "00000000a80425fb", "00000000a80425fb")
    assert int(facts["CapInh"], 16) == int(facts["CapAmb"], 16) == 0


async def test_a_user_other_than_root_has_no_capabilities(busybox: dagger.Container) -> None:
    status = await busybox.with_user("1000").with_exec(["grep", "CapEff", "/proc/self/status"]).stdout()
    assert int(status.split()[1], 16) == 0


@pytest.mark.parametrize(
    "script",
    [
        "mount -t tmpfs x /tmp",
        "umount /proc/sys",
        "echo x > /proc/sys/kernel/hostname",
        "echo b > /proc/sysrq-trigger",
        "mknod /tmp/m b 8 0",
        "chroot /tmp/.. /bin/sh -c 'cat /proc/kcore | head -c 1 | grep -q .'",
        "echo x > /sys/kernel/uevent_helper",
    ],
)
async def test_the_kernel_cannot_be_reached(busybox: dagger.Container, script: str) -> None:
    ran = busybox.with_exec(shell(f"( {script} ) 2>/dev/null"), expect=dagger.ReturnType.ANY)
    assert await ran.exit_code() != 0


async def test_devices_are_the_usual_ones(busybox: dagger.Container) -> None:
    script = (
        "head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null; echo e > /dev/stderr; ls /dev"
    )
    ran = busybox.with_exec(shell(script))
    usual = {
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    }
    out = (await ran.stdout()).split()
    assert (out[:2], set(out[2:]), await ran.stderr()) == (["3", "3"], usual, "e\n")


async def test_nothing_outlives_its_command(busybox: dagger.Container) -> None:
    left = busybox.with_exec(shell("(sleep 5; echo late > /late) & (trap '' TERM HUP; sleep 1000) & echo done"))
    assert await left.stdout() == "done\n"
    assert not await left.exists("/late")


async def test_zombies_are_reaped(busybox: dagger.Container) -> None:
    leave_orphans = "for i in 1 2 3; do sh -c 'sleep 0 & exec true'; done; sleep 0.2"
    found = busybox.with_exec(shell(f"{leave_orphans}; grep -l 'State:.Z' /proc/[0-9]*/status; true"))
    assert await found.stdout() == ""


async def test_standard_input_is_empty_unless_given(busybox: dagger.Container) -> None:
    assert await busybox.with_exec(["cat"]).stdout() == ""


async def test_a_program_gets_default_signal_handling(busybox: dagger.Container) -> None:
    ignored = await busybox.with_exec(["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]).stdout()
    assert [int(line.split()[1], 16) for line in ignored.splitlines()] == [0, 0]


async def test_without_an_init_the_command_is_process_1(busybox: dagger.Container) -> None:
    assert await busybox.with_exec(shell("echo $$"), no_init=True).stdout() == "1\n"


async def test_a_command_may_be_long(busybox: dagger.Container) -> None:
    words = ["word" * 250] * 1000
    assert len(await busybox.with_exec(["echo", *words]).stdout()) == 1000 * 1001


async def test_the_layers_of_an_image_are_not_changed_by_commands(busybox: dagger.Container, tmp_path: Path) -> None:
    await busybox.with_exec(shell("echo changed > /etc/passwd; rm -r /tmp")).sync()
    assert await busybox.file("/etc/passwd").contents() == "root:x:0:0:root:/:/bin/sh\n"
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_deep_chains_work_and_remember_what_was_removed(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("first", "1").with_new_file("folder/f", "1").with_new_file("gone", "1")
    tree = tree.without_file("gone").without_directory("folder").with_new_file("folder/g", "2")
    for number in range(260):
        tree = tree.with_new_file(f"f{number % 5}", str(number)).without_file("f4")
        if number % 50 == 0:
            # The SDK itself takes only so many calls in a row.
            tree = await tree.sync()
    assert await tree.entries() == ["f0", "f1", "f2", "f3", "first", "folder/"]
    assert await tree.directory("folder").entries() == ["g"]
    assert await tree.file("f3").contents() == "258"


@pytest.mark.parametrize("target", ["../run/resolve/stub.conf", "/run/resolve/stub.conf"])
async def test_links_that_lead_nowhere_do_not_stop_a_command(busybox: dagger.Container, target: str) -> None:
    base = busybox.with_symlink(target, "/etc/resolv.conf")
    ran = base.with_exec(shell("test -f /etc/resolv.conf && echo there"))
    assert await ran.stdout() == "there\n"
    assert await ran.rootfs().entries() == ["bin/", "etc/", "tmp/"]


async def test_mount_points_behind_links_leave_nothing_behind(busybox: dagger.Container) -> None:
    base = busybox.with_symlink("/real", "/var").with_new_file("/real/f", "1")
    ran = base.with_mounted_temp("/var/deep/er").with_exec(shell("ls /real"))
    assert await ran.stdout() == "deep\nf\n"
    assert await ran.directory("/real").entries() == ["f"]


async def test_a_copy_of_a_whole_tree_is_the_tree(dag: dagger.Client, busybox: dagger.Container) -> None:
    copied = dag.directory().with_directory("/", busybox.rootfs())
    assert await copied.digest() == await busybox.rootfs().digest()
