"""The contract: what programs may rely on, whichever engine answers.

Every test runs on the embedded engine, and once more on a real Dagger engine where one answers (`real_engine.py` says
how it is named). Nothing here is about one engine alone: the images differ, so that nothing of them is counted on but
the applets of busybox.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagger
import pytest
import pytest_asyncio
from dagger.client._session import ConnectParams, SingleConnection

from tests.embedded_engine.conftest import shell
from tests.embedded_engine.engine import EngineProcess
from tests.embedded_engine.real_engine import NoRealEngineError, real_image, real_session

pytestmark = pytest.mark.asyncio(loop_scope="module")
UUID = ["cat", "/proc/sys/kernel/random/uuid"]


@dataclass(frozen=True)
class Contractor:
    """An engine that is held to the contract: a session of it, and an image that it can pull."""

    session: ConnectParams
    image: str


@pytest.fixture(scope="session")
def real_contractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contractor | NoRealEngineError]:
    """The real engine, or why there is none."""
    try:
        with real_session(tmp_path_factory.mktemp("real-engine")) as session:
            yield Contractor(session, real_image())
    except NoRealEngineError as reason:
        yield reason


@pytest.fixture(scope="module", params=["embedded", pytest.param("real", marks=pytest.mark.real_engine)])
def contractor(request: pytest.FixtureRequest) -> Contractor:
    """Each of the engines in turn."""
    if request.param == "real":
        found: Contractor | NoRealEngineError = request.getfixturevalue("real_contractor")
        if isinstance(found, NoRealEngineError):
            pytest.skip(str(found))
        return found
    engine: EngineProcess = request.getfixturevalue("engine")
    session = ConnectParams(port=engine.port, session_token=engine.token)
    return Contractor(session, request.getfixturevalue("busybox_image"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dag(contractor: Contractor) -> AsyncIterator[dagger.Client]:
    """The SDK's client on that engine; one for all tests, since each connection reads the whole schema."""
    async with SingleConnection(contractor.session) as connection:
        yield dagger.Client.from_connection(connection)


@pytest.fixture(scope="module")
def busybox(dag: dagger.Client, contractor: Contractor) -> dagger.Container:
    """A container made from that engine's image."""
    return dag.container().from_(contractor.image)


async def failed(container: dagger.Container) -> dagger.ExecError:
    """Returns the error that a container's last command ends in."""
    with pytest.raises(dagger.ExecError) as caught:
        await container.sync()
    return caught.value


# Commands


async def test_a_command_gives_its_streams_and_its_exit_code(busybox: dagger.Container) -> None:
    ran = busybox.with_exec(shell("echo out; echo err >&2"))
    assert [await ran.stdout(), await ran.stderr(), await ran.exit_code()] == ["out\n", "err\n", 0]


async def test_an_error_has_command_exit_code_and_trimmed_streams(busybox: dagger.Container) -> None:
    command = shell("echo out; echo err >&2; exit 3")
    error = await failed(busybox.with_exec(command).with_exec(["echo", "never"]))
    assert (error.command, error.exit_code, error.stdout, error.stderr) == (command, 3, "out", "err")


async def test_a_missing_program_is_an_error_of_the_command(busybox: dagger.Container) -> None:
    error = await failed(busybox.with_exec(["no-such-command"]))
    assert (error.exit_code, error.stderr) == (1, 'exec: "no-such-command": executable file not found in $PATH')


async def test_a_failure_may_be_expected_and_a_success_then_fails(busybox: dagger.Container) -> None:
    for expected in (dagger.ReturnType.ANY, dagger.ReturnType.FAILURE):
        assert await busybox.with_exec(shell("exit 7"), expect=expected).exit_code() == 7
    error = await failed(busybox.with_exec(["true"], expect=dagger.ReturnType.FAILURE))
    assert error.exit_code == 0


@pytest.mark.parametrize("code", [130, 137])
async def test_a_signals_exit_code_fails_whatever_is_expected(busybox: dagger.Container, code: int) -> None:
    error = await failed(busybox.with_exec(shell(f"exit {code}"), expect=dagger.ReturnType.ANY))
    assert error.exit_code == code


async def test_a_killed_command_ends_with_128_and_the_signal(busybox: dagger.Container) -> None:
    assert (await failed(busybox.with_exec(shell("kill -9 $$")))).exit_code == 137


async def test_without_a_command_there_is_no_output(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.QueryError, match="no command has been set"):
        await busybox.stdout()


async def test_standard_input_is_a_text_and_output_goes_to_files_too(busybox: dagger.Container) -> None:
    ran = busybox.with_exec(
        shell("cat; echo err >&2"), stdin="given", redirect_stdout="/out.txt", redirect_stderr="/err.txt"
    )
    assert await ran.stdout() == "given"
    assert [await ran.file(f"/{name}.txt").contents() for name in ("out", "err")] == ["given", "err\n"]


async def test_an_entrypoint_is_used_only_when_asked(busybox: dagger.Container) -> None:
    base = busybox.with_entrypoint(["echo", "entry"]).with_default_args(["by", "default"])
    assert [await base.entrypoint(), await base.default_args()] == [["echo", "entry"], ["by", "default"]]
    assert await base.with_exec(["echo", "plain"]).stdout() == "plain\n"
    assert await base.with_exec(["argument"], use_entrypoint=True).stdout() == "entry argument\n"
    assert await base.without_entrypoint().entrypoint() == []


async def test_a_command_runs_again_only_when_something_it_sees_changed(busybox: dagger.Container) -> None:
    base = busybox.with_env_variable("RUN", str(uuid.uuid4()))
    first = await base.with_exec(UUID).stdout()
    assert await base.with_exec(UUID).stdout() == first
    assert await base.with_env_variable("MORE", "1").with_exec(UUID).stdout() != first


async def test_commands_of_a_program_run_side_by_side(busybox: dagger.Container) -> None:
    pending = (busybox.with_exec(["echo", str(number)]).stdout() for number in range(8))
    assert await asyncio.gather(*pending) == [f"{number}\n" for number in range(8)]


async def test_output_is_whole_and_any_text(busybox: dagger.Container) -> None:
    assert len(await busybox.with_exec(shell("seq 1 40000")).stdout()) == 228894
    assert await busybox.with_exec(["echo", "grüße 任务"]).stdout() == "grüße 任务\n"
    assert await busybox.with_exec(shell(r"printf 'a\377b'")).stdout() == "a\ufffdb"


# What a command finds around it


async def test_variables_are_set_expanded_when_asked_and_taken_away(busybox: dagger.Container) -> None:
    base = busybox.with_env_variable("A", "1").with_env_variable("B", "$A-2")
    base = base.with_env_variable("C", "${A}-3", expand=True).with_env_variable("GONE", "x")
    base = base.without_env_variable("GONE")
    assert await base.with_exec(shell("echo $A $B $C ${GONE:-unset}")).stdout() == "1 $A-2 1-3 unset\n"
    assert [await base.env_variable("B"), await base.env_variable("GONE")] == ["$A-2", None]
    values = {await variable.name(): await variable.value() for variable in await base.env_variables()}
    assert {name: values.get(name) for name in ("A", "C", "GONE")} == {"A": "1", "C": "1-3", "GONE": None}


async def test_a_working_folder_is_made_and_paths_start_there(busybox: dagger.Container) -> None:
    base = busybox.with_workdir("/a").with_workdir("b")
    assert [await base.workdir(), await base.with_exec(["pwd"]).stdout()] == ["/a/b", "/a/b\n"]
    assert await base.with_new_file("f", "x").file("/a/b/f").contents() == "x"
    assert await busybox.without_workdir().with_exec(["pwd"]).stdout() == "/\n"


async def test_a_user_is_a_number_or_a_name_of_the_image(busybox: dagger.Container) -> None:
    identity = shell("id -u; id -g")
    assert await busybox.with_exec(identity).stdout() == "0\n0\n"
    assert await busybox.with_user("1234:5678").with_exec(identity).stdout() == "1234\n5678\n"
    named = busybox.with_new_file("/etc/passwd", "app:x:7:8::/home/app:/bin/sh\n").with_user("app")
    assert [await named.user(), await named.with_exec(identity).stdout()] == ["app", "7\n8\n"]


async def test_labels_and_exposed_ports_are_kept_in_the_configuration(busybox: dagger.Container) -> None:
    base = busybox.with_label("kind", "contract").with_label("gone", "1").without_label("gone")
    base = base.with_exposed_port(8080, description="web").with_exposed_port(53, protocol=dagger.NetworkProtocol.UDP)
    assert [await base.label("kind"), await base.label("gone")] == ["contract", None]
    assert ("kind", "contract") in [(await label.name(), await label.value()) for label in await base.labels()]
    ports = {(await port.port(), await port.protocol()) for port in await base.exposed_ports()}
    assert ports == {(8080, dagger.NetworkProtocol.TCP), (53, dagger.NetworkProtocol.UDP)}
    assert len(await base.without_exposed_port(8080).exposed_ports()) == 1


async def test_an_image_gives_its_configuration_platform_and_digest(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    assert "/bin" in (await busybox.env_variable("PATH") or "").split(":")
    assert await busybox.default_args() == ["sh"]
    assert await busybox.platform() == await dag.default_platform()
    assert re.search(r"busybox:[\w.]+@sha256:[0-9a-f]{64}$", await busybox.image_ref())


async def test_an_unknown_image_is_an_error_that_names_it(dag: dagger.Client, contractor: Contractor) -> None:
    repository = contractor.image.rpartition(":")[0]
    with pytest.raises(dagger.QueryError, match="no-such-tag"):
        await dag.container().from_(f"{repository}:no-such-tag").sync()


async def test_a_secret_is_seen_by_the_command_and_masked_in_its_output(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    secret = dag.set_secret("token", "s3cr3t-value")
    assert [await secret.name(), await secret.plaintext()] == ["token", "s3cr3t-value"]
    variable = busybox.with_secret_variable("TOKEN", secret)
    assert await variable.with_exec(shell("echo got $TOKEN; echo ${#TOKEN}")).stdout() == "got ***\n12\n"
    file = busybox.with_mounted_secret("/secrets/token", secret)
    script = "cat /secrets/token; wc -c < /secrets/token; stat -c %a /secrets/token"
    assert await file.with_exec(shell(script)).stdout() == "***12\n400\n"


async def test_a_secret_is_masked_in_errors_too(dag: dagger.Client, busybox: dagger.Container) -> None:
    variable = busybox.with_secret_variable("TOKEN", dag.set_secret("shown", "in-an-error"))
    error = await failed(variable.with_exec(shell("echo $TOKEN; echo $TOKEN >&2; exit 1")))
    assert (error.stdout, error.stderr) == ("***", "***")


# Files and directories


async def test_files_have_mode_owner_size_and_name(busybox: dagger.Container) -> None:
    base = busybox.with_new_file("/d/f.txt", "hello", permissions=0o640).with_new_file("/d/g", "x")
    assert await base.with_exec(shell("stat -c %a:%u:%g:%s /d/*")).stdout() == "640:0:0:5\n644:0:0:1\n"
    file = base.file("/d/f.txt")
    assert [await file.contents(), await file.size(), await file.name()] == ["hello", 5, "f.txt"]
    assert await base.with_new_file("/d/f.txt", "bye").file("/d/f.txt").contents() == "bye"
    assert await base.without_file("/d/f.txt").directory("/d").entries() == ["g"]


async def test_copies_take_owner_and_mode(dag: dagger.Client, busybox: dagger.Container) -> None:
    base = busybox.with_file("/f", dag.directory().with_new_file("f", "1").file("f"), owner="0:0", permissions=0o755)
    assert await base.with_exec(shell("stat -c %a:%u:%g /f")).stdout() == "755:0:0\n"


async def test_entries_are_sorted_and_folders_end_in_a_slash(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("sub/b.txt", "b").with_new_file("a.txt", "a").with_new_directory("empty")
    tree = tree.with_symlink("sub", "link")
    assert await tree.entries() == ["a.txt", "empty/", "link", "sub/"]
    assert [await tree.entries(path="sub"), await tree.directory("sub").entries()] == [["b.txt"], ["b.txt"]]


async def test_a_glob_finds_paths_at_any_depth(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("a.txt", "").with_new_file("sub/b.txt", "").with_new_file("sub/c.md", "")
    assert sorted(await tree.glob("**/*.txt")) == ["a.txt", "sub/b.txt"]
    assert sorted(await tree.glob("*")) == ["a.txt", "sub/"]


async def test_directories_are_never_changed_only_made_anew(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("a.txt", "a").with_new_file("sub/b.txt", "b")
    assert await tree.without_directory("sub").entries() == ["a.txt"]
    assert await tree.with_file("c.txt", tree.file("a.txt")).entries() == ["a.txt", "c.txt", "sub/"]
    nested = dag.directory().with_directory("x", tree)
    assert sorted(await nested.glob("**/*")) == ["x/", "x/a.txt", "x/sub/", "x/sub/b.txt"]
    assert await tree.entries() == ["a.txt", "sub/"]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"exclude": ["sub"]}, ["a.txt", "b.log"]),
        ({"exclude": ["**/*.log"]}, ["a.txt", "sub/"]),
        ({"include": ["*.txt"]}, ["a.txt"]),
        ({"include": ["**/*.txt"], "exclude": ["sub"]}, ["a.txt"]),
    ],
)
async def test_filters_choose_what_is_copied(
    dag: dagger.Client, busybox: dagger.Container, filters: dict[str, list[str]], kept: list[str]
) -> None:
    tree = dag.directory().with_new_file("a.txt", "").with_new_file("b.log", "").with_new_file("sub/c.txt", "")
    tree = tree.with_new_file("sub/d.log", "")
    include, exclude = filters.get("include"), filters.get("exclude")
    assert await tree.filter(include=include, exclude=exclude).entries() == kept
    copied = busybox.with_directory("/src", tree, include=include, exclude=exclude)
    assert await copied.directory("/src").entries() == kept


async def test_existence_is_asked_for_by_kind(dag: dagger.Client) -> None:
    tree = dag.directory().with_new_file("f", "").with_new_directory("d").with_symlink("f", "link")
    assert [await tree.exists("f"), await tree.exists("absent")] == [True, False]
    assert await tree.exists("d", expected_type=dagger.ExistsType.DIRECTORY_TYPE)
    assert not await tree.exists("d", expected_type=dagger.ExistsType.REGULAR_TYPE)
    assert await tree.exists("link", expected_type=dagger.ExistsType.SYMLINK_TYPE)


async def test_wrong_paths_are_told(busybox: dagger.Container) -> None:
    with pytest.raises(dagger.QueryError, match="stat /no/such: no such file or directory"):
        await busybox.file("/no/such").contents()
    with pytest.raises(dagger.QueryError, match="stat /nope: no such file or directory"):
        await busybox.directory("/nope").entries()
    with pytest.raises(dagger.QueryError, match="path /etc is a directory, not a file"):
        await busybox.file("/etc").contents()


async def test_what_a_command_writes_and_removes_is_found_afterwards(busybox: dagger.Container) -> None:
    ran = busybox.with_new_file("/gone/f", "").with_exec(shell("mkdir -p /o/p; echo 2 > /o/p/2; rm /gone/f"))
    assert [await ran.directory("/o").entries(), await ran.directory("/gone").entries()] == [["p/"], []]
    assert await ran.file("/o/p/2").contents() == "2\n"
    assert await ran.with_exec(["cat", "/o/p/2"]).stdout() == "2\n"


async def test_names_and_states_of_what_is_missing_are_errors(dag: dagger.Client) -> None:
    tree = dag.directory().with_symlink("target", "link")
    for asked in (tree.directory("foo").name(), tree.file("foo").name(), tree.stat("").name()):
        with pytest.raises(dagger.QueryError, match="no such file or directory"):
            await asked
    with pytest.raises(dagger.QueryError, match=r"symlink other .*link: file exists"):
        await tree.with_symlink("other", "link").sync()
    with pytest.raises(dagger.QueryError, match=r"cannot create directory outside parent: \.\./c"):
        await tree.with_new_directory("../c").sync()


async def test_a_difference_has_what_is_new(dag: dagger.Client) -> None:
    old = dag.directory().with_new_file("same", "1").with_new_file("old", "1")
    assert await old.diff(old.with_new_file("new", "1").without_file("old")).entries() == ["new"]


async def test_timestamps_are_set_by_the_second(dag: dagger.Client, busybox: dagger.Container) -> None:
    tree = dag.directory().with_new_file("f", "1").with_timestamps(1_000_000)
    ran = busybox.with_mounted_directory("/m", tree).with_exec(shell("stat -c %Y /m/f"))
    assert await ran.stdout() == "1000000\n"


async def test_a_root_file_system_is_a_directory_and_the_other_way_round(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    root = busybox.with_new_file("/mark", "copied").rootfs()
    assert {"bin/", "mark"} <= set(await root.entries())
    made = dag.container().with_rootfs(root).with_env_variable("PATH", "/bin")
    assert await made.with_exec(["cat", "/mark"]).stdout() == "copied"


# Mounts and caches


async def test_a_mounted_directory_is_written_without_its_source_and_the_root(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    tree = dag.directory().with_new_file("a", "1")
    wrote = busybox.with_mounted_directory("/m", tree).with_exec(shell("echo 2 > /m/b; ls /m"))
    assert [await wrote.stdout(), await wrote.directory("/m").entries()] == ["a\nb\n", ["a", "b"]]
    assert await tree.entries() == ["a"]
    assert await wrote.without_mount("/m").with_exec(shell("ls /m 2>/dev/null | wc -l")).stdout() == "0\n"


async def test_a_mounted_file_is_there_for_commands_and_named_among_the_mounts(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    file = dag.directory().with_new_file("f", "mounted").file("f")
    base = busybox.with_mounted_file("/m/f", file)
    assert [await base.with_exec(["cat", "/m/f"]).stdout(), await base.mounts()] == ["mounted", ["/m/f"]]


async def test_a_temporary_mount_is_empty_for_every_command(busybox: dagger.Container) -> None:
    base = busybox.with_mounted_temp("/t").with_exec(shell("touch /t/x; ls /t"))
    assert await base.stdout() == "x\n"
    assert await base.with_exec(shell("ls /t | wc -l")).stdout() == "0\n"


async def test_a_cache_volume_keeps_what_commands_write(dag: dagger.Client, busybox: dagger.Container) -> None:
    base = busybox.with_mounted_cache("/cache", dag.cache_volume(f"contract-{uuid.uuid4()}"))
    await base.with_exec(shell("echo kept > /cache/f")).sync()
    assert await base.with_env_variable("SECOND", "1").with_exec(["cat", "/cache/f"]).stdout() == "kept\n"
    other = busybox.with_mounted_cache("/cache", dag.cache_volume(f"contract-{uuid.uuid4()}"))
    assert await other.with_exec(["ls", "/cache"]).stdout() == ""


async def test_owners_by_name_are_those_of_the_container(dag: dagger.Client, busybox: dagger.Container) -> None:
    """Whatever is mounted or copied, and also where it is copied into a mount: the source's accounts do not count."""
    base = busybox.with_new_file("/etc/passwd", "root:x:0:0::/:/bin/sh\nkeeper:x:1234:1234::/:/bin/sh\n")
    base = base.with_new_file("/etc/group", "root:x:0:\nkeepers:x:4321:keeper\n")
    tree = dag.directory().with_new_file("f", "x")
    volume = dag.cache_volume(f"contract-{uuid.uuid4()}")
    mounted = (
        base.with_mounted_directory("/m/tree", tree, owner="keeper:keepers")
        .with_mounted_file("/m/file", tree.file("f"), owner="keeper")
        .with_mounted_cache("/m/cache", volume, source=tree, owner="1234:keepers")
        .with_directory("/m/tree/copy", tree, owner="keeper")
    )
    script = "stat -c %u:%g /m/tree/f /m/file /m/cache /m/cache/f /m/tree/copy/f"
    assert (await mounted.with_exec(shell(script)).stdout()).split() == [
        "1234:4321",
        "1234:1234",
        "1234:4321",
        "1234:4321",
        "1234:1234",
    ]
    with pytest.raises(dagger.QueryError, match="unable to find user nobody-here"):
        await base.with_mounted_directory("/m", tree, owner="nobody-here").with_exec(["true"]).sync()


async def test_a_cache_volume_begins_with_its_sources_mode(dag: dagger.Client, busybox: dagger.Container) -> None:
    tree = dag.directory().with_new_directory("d", permissions=0o745).directory("d")
    base = busybox.with_mounted_cache("/c", dag.cache_volume(f"contract-{uuid.uuid4()}"), source=tree)
    assert await base.with_exec(["stat", "-c", "%a", "/c"]).stdout() == "745\n"


async def test_a_mount_covers_those_below_it(dag: dagger.Client, busybox: dagger.Container) -> None:
    tree = dag.directory().with_new_file("f", "x")
    base = busybox.with_mounted_directory("/mnt/dir", tree).with_mounted_directory("/mnt", tree)
    assert await base.mounts() == ["/mnt"]
    assert await base.with_exec(["ls", "/mnt"]).stdout() == "f\n"


async def test_removing_a_mounted_path_removes_the_mount_and_what_it_covers(
    dag: dagger.Client, busybox: dagger.Container
) -> None:
    below, above = dag.file("f", "1"), dag.file("f", "2")
    base = busybox.with_file("/mnt/f", below).with_mounted_file("/mnt/f", above).without_file("/mnt/f")
    assert [await base.directory("/mnt").entries(), await base.mounts()] == [[], []]


async def test_a_volatile_variable_goes_with_its_removal_and_services_do_not_see_it(busybox: dagger.Container) -> None:
    base = busybox.with_env_variable("NAME", "lasting").with_volatile_variable("NAME", "passing")
    said = shell("printf '%s' \"$NAME\"")
    assert await base.with_exec(said).stdout() == "passing"
    assert await base.without_volatile_variable("NAME").with_exec(said).stdout() == "lasting"
    script = 'test "$NAME" = lasting && exec httpd -f -p 9003'
    service = base.with_exposed_port(9003).as_service(args=shell(script))
    assert await busybox.with_service_binding("plain", service).with_exec(["true"]).exit_code() == 0


# Services


async def test_a_service_is_reached_by_the_name_it_is_bound_to(busybox: dagger.Container) -> None:
    content = str(uuid.uuid4())
    base = busybox.with_new_file("/www/page", content).with_exposed_port(9000)
    service = base.as_service(args=["httpd", "-f", "-p", "9000", "-h", "/www"])
    client = busybox.with_service_binding("greeter", service)
    assert await client.with_exec(["wget", "-qO-", "http://greeter:9000/page"]).stdout() == content


async def test_a_service_that_dies_before_it_is_ready_fails_its_client(busybox: dagger.Container) -> None:
    service = busybox.with_exposed_port(9001).as_service(args=["false"])
    error = await failed(busybox.with_service_binding("broken", service).with_exec(["true"]))
    assert f"start {await service.hostname()} (aliased as broken): exit code:" in str(error)


async def test_a_service_is_started_and_stopped_by_hand(busybox: dagger.Container) -> None:
    service = busybox.with_exposed_port(9002).as_service(args=["httpd", "-f", "-p", "9002"])
    started = await service.start()
    assert [await port.port() for port in await started.ports()] == [9002]
    await started.stop(kill=True)


# The host


async def test_a_host_folder_is_read_through_filters(dag: dagger.Client, tmp_path: Path) -> None:
    for path in ("keep.txt", "skip.log", "sub/x.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    read = dag.host().directory
    assert await read(str(tmp_path)).entries() == ["keep.txt", "skip.log", "sub/"]
    assert await read(str(tmp_path), exclude=["*.log"]).entries() == ["keep.txt", "sub/"]
    assert await read(str(tmp_path), include=["**/*.txt"]).entries() == ["keep.txt", "sub/"]


async def test_a_host_file_is_read_and_a_missing_folder_is_an_error(dag: dagger.Client, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("of the host")
    assert await dag.host().file(str(tmp_path / "f")).contents() == "of the host"
    with pytest.raises(dagger.QueryError):
        await dag.host().directory(str(tmp_path / "absent")).entries()


async def test_directories_and_files_are_exported(busybox: dagger.Container, tmp_path: Path) -> None:
    made = busybox.with_exec(shell("mkdir -p /o/p; echo 1 > /o/1; chmod 755 /o/1; echo 2 > /o/p/2; ln -s 1 /o/link"))
    out = tmp_path / "out"
    await made.directory("/o").export(str(out))
    await made.file("/o/p/2").export(str(out / "copy"))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == ["1", "copy", "link", "p", "p/2"]
    assert [(out / "1").stat().st_mode & 0o777, str((out / "link").readlink())] == [0o755, "1"]
    assert [(out / name).read_text() for name in ("1", "copy")] == ["1\n", "2\n"]


# Objects


async def test_objects_are_loaded_by_their_ids(dag: dagger.Client, busybox: dagger.Container) -> None:
    tree = dag.directory().with_new_file("f", "kept")
    container = await busybox.with_exec(["echo", "once"]).sync()
    assert await dag.load_container_from_id(dagger.ContainerID(await container.id())).stdout() == "once\n"
    assert await dag.load_directory_from_id(dagger.DirectoryID(await tree.id())).entries() == ["f"]
    assert await dag.load_file_from_id(dagger.FileID(await tree.file("f").id())).contents() == "kept"
    secret = dag.set_secret("by-id", "plain")
    assert await dag.load_secret_from_id(dagger.SecretID(await secret.id())).plaintext() == "plain"
    volume = dag.load_cache_volume_from_id(dagger.CacheVolumeID(await dag.cache_volume("by-id").id()))
    assert await busybox.with_mounted_cache("/c", volume).with_exec(["test", "-d", "/c"]).exit_code() == 0


async def test_a_session_says_its_version_and_platform(dag: dagger.Client) -> None:
    assert re.match(r"v?\d+\.\d+\.\d+", await dag.version())
    assert re.fullmatch(r"linux/\w+(/\w+)?", await dag.default_platform())


async def test_a_platform_is_one_that_there_is(dag: dagger.Client) -> None:
    assert await dag.container(platform=dagger.Platform("linux/arm64")).platform() == "linux/arm64"
    with pytest.raises(dagger.QueryError, match="unknown operating system or architecture"):
        await dag.container(platform=dagger.Platform("windows98")).platform()
