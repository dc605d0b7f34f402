"""Containers through the SDK: what commands see, what they leave, what errors say."""

import asyncio
import re
import uuid
from pathlib import Path

import dagger
import pytest

from tests.embedded_engine.conftest import shell


async def test_the_last_commands_streams_come_together_in_order(busybox: dagger.Container) -> None:
    ran = busybox.with_exec(shell("echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three"))
    assert await ran.combined_output() == "one\ntwo\nthree\n"


async def test_without_a_command_there_is_no_output(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.QueryError, match="no command has been set"):
        await busybox.stdout()


async def test_no_arguments_run_the_default_arguments(busybox: dagger.Container) -> None:
    assert await busybox.with_default_args(["echo", "default"]).with_exec([]).stdout() == "default\n"


async def test_setting_an_entrypoint_drops_the_default_arguments_unless_they_are_kept(
    busybox: dagger.Container,
) -> None:
    base = busybox.with_default_args(["kept"])
    assert await base.with_entrypoint(["echo"]).default_args() == []
    assert await base.with_entrypoint(["echo"], keep_default_args=True).default_args() == ["kept"]


@pytest.mark.parametrize("code", [1, 127, 192, 255])
async def test_an_expected_failure_may_have_any_ordinary_code(busybox: dagger.Container, code: int) -> None:
    ran = busybox.with_exec(shell(f"exit {code}"), expect=dagger.ReturnType.FAILURE)
    assert await ran.exit_code() == code


@pytest.mark.parametrize("code", [128, 130, 137, 191])
async def test_codes_that_signals_give_fail_whatever_is_expected(busybox: dagger.Container, code: int) -> None:
    with pytest.raises(dagger.ExecError) as failed:
        await busybox.with_exec(shell(f"exit {code}"), expect=dagger.ReturnType.ANY).sync()
    assert failed.value.exit_code == code


async def test_a_command_that_kills_itself_ends_with_137(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.ExecError) as failed:
        await busybox.with_exec(shell("kill -9 $$")).sync()
    assert failed.value.exit_code == 137


@pytest.mark.parametrize(
    ("command", "stderr"),
    [
        (["absent"], 'exec: "absent": executable file not found in $PATH'),
        (["/no/such"], "fork/exec /no/such: no such file or directory"),
        (["/etc/passwd"], "fork/exec /etc/passwd: permission denied"),
        (["/tmp"], "fork/exec /tmp: permission denied"),
    ],
)
async def test_a_program_that_cannot_start_is_exit_code_1(
    busybox: dagger.Container, command: list[str], stderr: str
) -> None:
    with pytest.raises(dagger.ExecError) as failed:
        await busybox.with_exec(command).sync()
    assert (failed.value.exit_code, failed.value.stderr) == (1, stderr)


async def test_an_error_shows_the_end_of_long_output(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.ExecError) as failed:
        await busybox.with_exec(shell("seq 1 40000; exit 1")).sync()
    assert failed.value.stdout.startswith("[omitting 126494 bytes]...")
    assert failed.value.stdout.endswith("39999\n40000")


async def test_bytes_that_are_no_utf8_are_replaced(busybox: dagger.Container) -> None:
    assert await busybox.with_exec(shell(r"printf 'a\377b'")).stdout() == "a\ufffdb"


async def test_stdin_comes_from_a_file_of_the_container(busybox: dagger.Container) -> None:
    base = busybox.with_new_file("/in.txt", "from a file")
    assert await base.with_exec(["cat"], redirect_stdin="/in.txt").stdout() == "from a file"


async def test_both_sources_of_stdin_at_once_are_refused(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.QueryError, match="cannot set both stdin and redirectStdin"):
        await busybox.with_exec(["cat"], stdin="a", redirect_stdin="/b").sync()


async def test_redirected_output_is_complete_however_large(busybox: dagger.Container) -> None:
    ran = busybox.with_exec(shell("seq 1 40000"), redirect_stdout="/out.txt")
    assert await ran.file("/out.txt").size() == 228894
    assert len(await ran.stdout()) == 228894


async def test_arguments_expand_variables_when_asked(busybox: dagger.Container) -> None:
    base = busybox.with_env_variable("WHO", "world")
    assert await base.with_exec(["echo", "${WHO} $WHO"], expand=True).stdout() == "world world\n"
    assert await base.with_exec(["echo", "$WHO"]).stdout() == "$WHO\n"


async def test_secrets_are_not_expanded(dag: dagger.Client, busybox: dagger.Container) -> None:
    base = busybox.with_secret_variable("TOKEN", dag.set_secret("t", "value"))
    with pytest.raises(dagger.QueryError, match="expand cannot be used with secret env variable"):
        await base.with_exec(["echo", "$TOKEN"], expand=True).sync()


async def test_a_changed_secret_runs_the_command_again(dag: dagger.Client, busybox: dagger.Container) -> None:
    async def ran_with(value: str) -> str:
        base = busybox.with_secret_variable("TOKEN", dag.set_secret("changing", value))
        return await base.with_exec(["cat", "/proc/sys/kernel/random/uuid"]).stdout()

    first = await ran_with("one")
    assert await ran_with("one") == first
    assert await ran_with("two") != first


async def test_a_volatile_variable_is_seen_and_does_not_run_the_command_again(busybox: dagger.Container) -> None:
    command = shell("echo $V; cat /proc/sys/kernel/random/uuid")
    first = await busybox.with_volatile_variable("V", "1").with_exec(command).stdout()
    assert first.startswith("1\n")
    assert await busybox.with_volatile_variable("V", "2").with_exec(command).stdout() == first


async def test_a_failed_command_is_tried_again(busybox: dagger.Container, dag: dagger.Client) -> None:
    volume = dag.cache_volume(f"attempts-{uuid.uuid4()}")
    ran = busybox.with_mounted_cache("/c", volume).with_exec(shell("test -f /c/once || { touch /c/once; exit 1; }"))
    with pytest.raises(dagger.ExecError):
        await ran.sync()
    await ran.sync()


async def test_a_user_is_found_by_name_with_home_and_groups(busybox: dagger.Container) -> None:
    base = busybox.with_new_file("/etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:7:8::/home/app:/bin/sh\n")
    base = base.with_new_file("/etc/group", "root:x:0:\nmain:x:8:\nextra:x:9:app\n").with_user("app")
    assert await base.with_exec(shell("id -u; id -g; echo $HOME")).stdout() == "7\n8\n/home/app\n"


async def test_an_unknown_user_is_named(busybox: dagger.Container) -> None:
    named = r"the command \['true'\] cannot be started: unable to find user nobody-here"
    with pytest.raises(dagger.QueryError, match=named):
        await busybox.with_user("nobody-here").with_exec(["true"]).sync()


async def test_the_working_folder_is_made_and_kept(busybox: dagger.Container) -> None:
    ran = busybox.with_workdir("/deep/er").with_exec(["true"])
    assert await ran.directory("/deep").entries() == ["er/"]


async def test_paths_are_relative_to_the_working_folder(busybox: dagger.Container) -> None:
    base = busybox.with_workdir("/w").with_new_file("f", "x")
    assert await base.file("f").contents() == "x"
    assert await base.directory(".").entries() == ["f"]
    assert await base.exists("f")


async def test_mount_points_leave_nothing_behind(busybox: dagger.Container, dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("a", "1")
    base = (
        busybox.with_mounted_directory("/x/y/z", tree).with_mounted_temp("/t").with_mounted_file("/m/f", tree.file("a"))
    )
    ran = base.with_exec(["true"])
    assert await ran.rootfs().entries() == ["bin/", "etc/", "tmp/"]
    assert await ran.rootfs().directory("etc").entries() == ["passwd"]


async def test_what_is_written_into_a_mounted_file_is_read_back(busybox: dagger.Container, dag: dagger.Client) -> None:
    file = dag.file("f", "old")
    ran = busybox.with_mounted_file("/m/f", file).with_exec(shell("cat /m/f; echo new > /m/f"))
    assert await ran.stdout() == "old"
    assert await ran.file("/m/f").contents() == "new\n"
    assert await file.contents() == "old"


async def test_a_read_only_mount_cannot_be_written(busybox: dagger.Container, dag: dagger.Client) -> None:
    base = busybox.with_mounted_directory("/m", dag.directory().with_new_file("a", "1"), read_only=True)
    with pytest.raises(dagger.ExecError, match="exit code: 1") as failed:
        await base.with_exec(shell("touch /m/b")).sync()
    assert "Read-only file system" in failed.value.stderr


async def test_temporary_and_cache_mounts_cannot_be_read_from_outside(
    busybox: dagger.Container, dag: dagger.Client
) -> None:
    base = busybox.with_mounted_temp("/t").with_mounted_cache("/c", dag.cache_volume("outside"))
    with pytest.raises(dagger.QueryError, match="/t/x: cannot retrieve path from tmpfs"):
        await base.file("/t/x").contents()
    with pytest.raises(dagger.QueryError, match="/c/x: cannot retrieve path from cache"):
        await base.file("/c/x").contents()


async def test_a_temporary_mount_has_the_size_that_is_asked_for(busybox: dagger.Container) -> None:
    base = busybox.with_mounted_temp("/t", size=1 << 20)
    with pytest.raises(dagger.ExecError) as failed:
        await base.with_exec(shell("dd if=/dev/zero of=/t/x bs=1M count=2")).sync()
    assert "No space left on device" in failed.value.stderr


async def test_a_cache_volume_begins_with_its_source(busybox: dagger.Container, dag: dagger.Client) -> None:
    source = dag.directory().with_new_file("begun", "here")
    volume = dag.cache_volume(f"begun-{uuid.uuid4()}")
    base = busybox.with_mounted_cache("/c", volume, source=source)
    assert await base.with_exec(["cat", "/c/begun"]).stdout() == "here"


async def test_a_locked_volume_is_used_by_one_command_at_a_time(busybox: dagger.Container, dag: dagger.Client) -> None:
    volume = dag.cache_volume(f"locked-{uuid.uuid4()}")
    base = busybox.with_mounted_cache("/c", volume, sharing=dagger.CacheSharingMode.LOCKED)
    script = "mkdir /c/held || exit 1; sleep 0.1; rmdir /c/held"

    async def use(number: int) -> None:
        await base.with_env_variable("N", str(number)).with_exec(shell(script)).sync()

    await asyncio.gather(*(use(number) for number in range(3)))


async def test_a_secret_file_has_owner_and_mode(dag: dagger.Client, busybox: dagger.Container) -> None:
    base = busybox.with_mounted_secret("/s/t", dag.set_secret("t", "value"), mode=0o440)
    assert await base.with_exec(["stat", "-c", "%a %u %g", "/s/t"]).stdout() == "440 0 0\n"


async def test_secrets_come_from_environment_files_and_commands(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("in a file")
    assert await dag.secret(f"file://{tmp_path}/s").plaintext() == "in a file"
    assert await dag.secret("cmd://printf ran").plaintext() == "ran"
    assert await dag.secret("env://HOME").plaintext() != ""
    with pytest.raises(dagger.QueryError, match="unsupported secret provider"):
        await dag.secret("vault://x").plaintext()


async def test_rootfs_of_a_subfolder_becomes_a_root(busybox: dagger.Container, dag: dagger.Client) -> None:
    tree = dag.directory().with_directory("sub", busybox.rootfs())
    assert await dag.container().with_rootfs(tree.directory("sub")).with_exec(["/bin/echo", "hi"]).stdout() == "hi\n"


async def test_an_id_of_another_type_is_refused(dag: dagger.Client) -> None:
    identifier = await dag.directory().id()
    with pytest.raises(dagger.QueryError, match="the id belongs to a Directory, not to a Container"):
        await dag.load_container_from_id(dagger.ContainerID(identifier)).sync()
    with pytest.raises(dagger.QueryError, match="no object has the id"):
        await dag.load_container_from_id(dagger.ContainerID("unknown")).sync()


async def test_labels_ports_and_image_reference(busybox: dagger.Container, busybox_image: str) -> None:
    labelled = busybox.with_label("b", "2").with_label("a", "1").without_label("b")
    assert [(await label.name(), await label.value()) for label in await labelled.labels()] == [("a", "1")]
    (port,) = await busybox.with_exposed_port(53, protocol=dagger.NetworkProtocol.UDP, description="d").exposed_ports()
    assert (await port.protocol(), await port.description()) == (dagger.NetworkProtocol.UDP, "d")
    assert re.fullmatch(re.escape(busybox_image) + "@sha256:[0-9a-f]{64}", await busybox.image_ref())


async def test_privileges_are_refused_by_name(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.QueryError, match="insecureRootCapabilities is not supported"):
        await busybox.with_exec(["true"], insecure_root_capabilities=True).sync()


async def test_a_service_is_reached_by_two_names_and_ports_are_waited_for(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    serve = shell("sleep 0.3; mkdir /www; echo late > /www/f; exec httpd -f -p 8000 -h /www")
    service = busybox.with_exposed_port(8000).as_service(args=serve)
    client = busybox.with_service_binding("late", service)
    fetched = client.with_exec(
        shell(f"wget -qO- http://late:8000/f; wget -qO- http://{await service.hostname()}:8000/f")
    )
    assert await fetched.stdout() == "late\nlate\n"
    assert await service.endpoint(scheme="http") == f"http://{await service.hostname()}:8000"


async def test_two_services_may_listen_on_the_same_port(dag: dagger.Client, busybox: dagger.Container) -> None:
    def named(name: str) -> dagger.Service:
        base = busybox.with_new_file("/www/name", name).with_exposed_port(80)
        return base.as_service(args=["httpd", "-f", "-p", "80", "-h", "/www"])

    client = busybox.with_service_binding("one", named("1")).with_service_binding("two", named("2"))
    both = client.with_exec(shell("wget -qO- http://one/name; wget -qO- http://two/name"))
    assert await both.stdout() == "12"


async def test_a_port_exposed_again_keeps_its_place(busybox: dagger.Container) -> None:
    exposed = busybox.with_exposed_port(80).with_exposed_port(443).with_exposed_port(80, description="web")
    ports = await exposed.exposed_ports()
    assert [(await port.port(), await port.description()) for port in ports] == [(80, "web"), (443, None)]
