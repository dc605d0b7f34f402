# ruff: noqa
# mypy: ignore-errors
# fmt: off
"""Reference cases for the Dagger API, written against the official Python SDK.

Each case is an ordinary SDK program that returns a JSON value. `reference.json`
holds what a real Dagger engine (v0.21.8) answered, so any other session that
speaks the Dagger API can be held against it:

    python cases.py --image 127.0.0.1:5000/library/busybox:latest --compare reference.json

The session comes from DAGGER_SESSION_PORT and DAGGER_SESSION_TOKEN, as for any
SDK program. The image is a busybox root file system: its applets in /bin, /etc/passwd
(root only) alone in /etc, an empty /tmp, no /run, and PATH its only variable.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import dagger
from dagger import dag

CASES: dict[str, Callable[[str], Awaitable[object]]] = {}


def case(function):
    CASES[function.__name__] = function
    return function


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


async def failure(awaitable) -> dict:
    """The error a call ends in, in comparable form."""
    try:
        value = await awaitable
    except dagger.ExecError as error:
        return {
            "error": "ExecError",
            "exit_code": error.exit_code,
            "stdout": error.stdout,
            "stderr": error.stderr,
            "command": error.command,
        }
    except dagger.QueryError as error:
        return {"error": "QueryError", "message": str(error).split(" [traceparent")[0]}
    return {"value": value}


@case
async def stdout_and_stderr(image):
    ran = dag.container().from_(image).with_exec(sh("echo out; echo err >&2"))
    return [await ran.stdout(), await ran.stderr(), await ran.exit_code()]


@case
async def failing_command(image):
    ran = dag.container().from_(image).with_exec(sh("echo out; echo err >&2; exit 3"))
    return await failure(ran.stdout())


@case
async def failing_command_then_more(image):
    ran = dag.container().from_(image).with_exec(["false"]).with_exec(sh("echo never"))
    return await failure(ran.stdout())


@case
async def missing_command(image):
    return await failure(dag.container().from_(image).with_exec(["no-such-command"]).stdout())


@case
async def expected_failure(image):
    base = dag.container().from_(image)
    return {
        "any": await base.with_exec(sh("exit 7"), expect=dagger.ReturnType.ANY).exit_code(),
        "failure": await base.with_exec(sh("exit 7"), expect=dagger.ReturnType.FAILURE).exit_code(),
        "failure, but it succeeds": await failure(
            base.with_exec(["true"], expect=dagger.ReturnType.FAILURE).exit_code()
        ),
    }


@case
async def environment(image):
    base = (
        dag.container()
        .from_(image)
        .with_env_variable("A", "1")
        .with_env_variable("B", "$A-2")
        .with_env_variable("C", "${A}-3", expand=True)
        .with_env_variable("GONE", "x")
        .without_env_variable("GONE")
    )
    return {
        "seen": await base.with_exec(sh("echo $A $B $C ${GONE:-unset}")).stdout(),
        "env_variable": [await base.env_variable("B"), await base.env_variable("GONE")],
        "names": sorted([await variable.name() for variable in await base.env_variables()]),
    }


@case
async def working_directory(image):
    base = dag.container().from_(image)
    return {
        "default": await base.with_exec(["pwd"]).stdout(),
        "set": await base.with_workdir("/a/b").with_exec(["pwd"]).stdout(),
        "relative": await base.with_workdir("/a").with_workdir("b").with_exec(["pwd"]).stdout(),
        "asked": await base.with_workdir("/a/b").workdir(),
        "file beside it": await base.with_workdir("/a").with_new_file("f", "x").file("/a/f").contents(),
    }


@case
async def new_files(image):
    base = dag.container().from_(image).with_new_file("/d/f.txt", "hello", permissions=0o640)
    return {
        "mode": await base.with_exec(sh("stat -c %a:%u:%g:%s /d/f.txt")).stdout(),
        "default mode": await dag.container().from_(image).with_new_file("/f", "x").with_exec(sh("stat -c %a /f")).stdout(),
        "contents": await base.file("/d/f.txt").contents(),
        "size": await base.file("/d/f.txt").size(),
        "name": await base.file("/d/f.txt").name(),
        "overwritten": await base.with_new_file("/d/f.txt", "bye").file("/d/f.txt").contents(),
        "removed": await base.without_file("/d/f.txt").directory("/d").entries(),
    }


@case
async def directories(image):
    tree = dag.directory().with_new_file("a.txt", "a").with_new_file("sub/b.txt", "b").with_new_directory("empty")
    mounted = dag.container().from_(image).with_directory("/src", tree)
    return {
        "entries": await tree.entries(),
        "sub entries": await tree.directory("sub").entries(),
        "glob": sorted(await tree.glob("**/*.txt")),
        "in container": await mounted.with_exec(sh("cd /src && find . | sort")).stdout(),
        "excluded": await dag.container().from_(image).with_directory("/src", tree, exclude=["sub"]).directory("/src").entries(),
        "included": await dag.container().from_(image).with_directory("/src", tree, include=["*.txt"]).directory("/src").entries(),
        "without": await tree.without_directory("sub").entries(),
        "with_file": await tree.with_file("c.txt", tree.file("a.txt")).entries(),
        "with_directory": sorted(await dag.directory().with_directory("x", tree).glob("**/*")),
        "exists": [await tree.exists("a.txt"), await tree.exists("zz")],
    }


@case
async def written_by_a_command(image):
    ran = dag.container().from_(image).with_exec(sh("mkdir -p /o/p; echo 1 > /o/1; echo 2 > /o/p/2; rm /etc/passwd"))
    return {
        "entries": await ran.directory("/o").entries(),
        "contents": await ran.file("/o/p/2").contents(),
        "removed": await ran.directory("/etc").entries(),
        "next step sees it": await ran.with_exec(["cat", "/o/1"]).stdout(),
    }


@case
async def missing_paths(image):
    base = dag.container().from_(image)
    return {
        "file": await failure(base.file("/no/such").contents()),
        "directory": await failure(base.directory("/nope").entries()),
        "file is a directory": await failure(base.file("/etc").contents()),
    }


@case
async def mounts_stay_out_of_the_root(image):
    tree = dag.directory().with_new_file("a", "1")
    base = dag.container().from_(image).with_mounted_directory("/m", tree)
    wrote = base.with_exec(sh("echo 2 > /m/b; ls /m"))
    return {
        "seen": await wrote.stdout(),
        "read back": await wrote.directory("/m").entries(),
        "source untouched": await tree.entries(),
        "after unmount": await wrote.without_mount("/m").with_exec(sh("ls /m 2>/dev/null | wc -l")).stdout(),
    }


@case
async def temporary_mount(image):
    base = dag.container().from_(image).with_mounted_temp("/t")
    return await base.with_exec(sh("echo x > /t/x; ls /t")).with_exec(sh("ls /t | wc -l")).stdout()


@case
async def cache_volume_persists(image):
    volume = dag.cache_volume("reference-cases")
    base = dag.container().from_(image).with_mounted_cache("/cache", volume)
    await base.with_exec(sh("rm -rf /cache/*; echo kept > /cache/f")).sync()
    return await base.with_env_variable("SECOND", "1").with_exec(sh("cat /cache/f")).stdout()


@case
async def secrets(image):
    secret = dag.set_secret("token", "s3cr3t-value")
    base = dag.container().from_(image)
    in_env = base.with_secret_variable("TOKEN", secret).with_exec(sh("echo got $TOKEN; echo ${#TOKEN}"))
    in_file = base.with_mounted_secret("/run/token", secret).with_exec(sh("cat /run/token; wc -c < /run/token; stat -c %a /run/token"))
    return {
        "env": await in_env.stdout(),
        "file": await in_file.stdout(),
        "gone from the root": await in_file.without_secret_variable("TOKEN").without_mount("/run/token").with_exec(sh("ls /run | wc -l")).stdout(),
        "plaintext": await secret.plaintext(),
        "name": await secret.name(),
    }


@case
async def same_step_runs_once(image):
    uuid = sh("cat /proc/sys/kernel/random/uuid")
    base = dag.container().from_(image)
    first = await base.with_exec(uuid).stdout()
    again = await base.with_exec(uuid).stdout()
    other = await base.with_env_variable("X", "1").with_exec(uuid).stdout()
    return [first == again, first == other]


@case
async def entrypoint_and_default_args(image):
    base = dag.container().from_(image).with_entrypoint(["echo", "entry"]).with_default_args(["by", "default"])
    return {
        "plain exec ignores it": await base.with_exec(["echo", "plain"]).stdout(),
        "used when asked": await base.with_exec(["arg"], use_entrypoint=True).stdout(),
        "entrypoint": await base.entrypoint(),
        "default_args": await base.default_args(),
    }


@case
async def standard_input(image):
    return await dag.container().from_(image).with_exec(["cat"], stdin="from stdin").stdout()


@case
async def redirected_output(image):
    ran = dag.container().from_(image).with_exec(
        sh("echo out; echo err >&2"), redirect_stdout="/out.txt", redirect_stderr="/err.txt"
    )
    return [await ran.file("/out.txt").contents(), await ran.file("/err.txt").contents(), await ran.stdout()]


@case
async def users(image):
    base = dag.container().from_(image)
    return [
        await base.with_exec(sh("id -u; id -g")).stdout(),
        await base.with_user("1234:5678").with_exec(sh("id -u; id -g")).stdout(),
        await base.with_user("1234").user(),
    ]


@case
async def host_directory(image):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "keep.txt").write_text("keep")
        (root / "skip.log").write_text("skip")
        (root / "sub").mkdir()
        (root / "sub" / "x.txt").write_text("x")
        host = dag.host()
        return {
            "all": await host.directory(folder).entries(),
            "excluded": await host.directory(folder, exclude=["*.log"]).entries(),
            "included": await host.directory(folder, include=["**/*.txt"]).entries(),
            "file": await host.file(str(root / "keep.txt")).contents(),
            "missing": (await failure(host.directory(str(root / "none")).entries()))["error"],
        }


@case
async def exported_to_the_host(image):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        tree = dag.container().from_(image).with_exec(sh("mkdir -p /o/p; echo 1 > /o/1; echo 2 > /o/p/2")).directory("/o")
        await tree.export(str(out))
        await tree.file("1").export(str(out / "copy"))
        return sorted(str(path.relative_to(out)) for path in out.rglob("*"))


@case
async def labels_and_ports(image):
    base = dag.container().from_(image).with_label("a", "1").with_exposed_port(8080)
    return [await base.label("a"), await base.label("b"), [await port.port() for port in await base.exposed_ports()]]


@case
async def root_file_system(image):
    base = dag.container().from_(image)
    copied = dag.container().with_rootfs(base.rootfs()).with_env_variable("PATH", "/bin").with_exec(["echo", "copied"])
    return ["bin/" in await base.rootfs().entries(), await copied.stdout()]


@case
async def file_system_difference(image):
    old = dag.directory().with_new_file("same", "1").with_new_file("old", "1")
    new = dag.directory().with_new_file("same", "1").with_new_file("new", "1")
    return sorted(await old.diff(new).entries())


@case
async def identity_round_trip(image):
    ran = dag.container().from_(image).with_exec(["echo", "once"])
    synced = await ran.sync()
    again = dag.load_container_from_id(dagger.ContainerID(await synced.id()))
    return [await again.stdout(), await dag.container().from_(image).with_exec(["echo", "once"]).id() != ""]


@case
async def many_at_once(image):
    base = dag.container().from_(image)
    return await asyncio.gather(*(base.with_exec(["echo", str(n)]).stdout() for n in range(8)))


@case
async def large_and_unicode_output(image):
    base = dag.container().from_(image)
    return [
        len(await base.with_exec(sh("seq 1 40000")).stdout()),
        await base.with_exec(["echo", "grüße 任务"]).stdout(),
        await base.with_new_file("/ü.txt", "é").file("/ü.txt").contents(),
    ]


@case
async def unknown_image(image):
    registry = image.split("/")[0]
    return (await failure(dag.container().from_(f"{registry}/no/such:image").with_exec(["true"]).stdout()))["error"]


@case
async def exec_without_image(image):
    return (await failure(dag.container().with_exec(["true"]).stdout()))["error"]


@case
async def services(image):
    greeter = (
        dag.container().from_(image).with_new_file("/www/hello", "hello from the service\n").with_exposed_port(9000)
        .as_service(args=["httpd", "-f", "-p", "9000", "-h", "/www"])
    )
    client = dag.container().from_(image).with_service_binding("greeter", greeter)
    return {
        "bound by name": await client.with_exec(["wget", "-qO-", "http://greeter:9000/hello"]).stdout(),
        "dies before it is ready": (
            await failure(
                dag.container().from_(image).with_service_binding(
                    "broken", dag.container().from_(image).with_exposed_port(9001).as_service(args=["false"])
                ).with_exec(["true"]).stdout()
            )
        )["error"],
    }


@case
async def service_lifecycle(image):
    service = dag.container().from_(image).with_exposed_port(9002).as_service(args=["httpd", "-f", "-p", "9002"])
    started = await service.start()
    ports = [await port.port() for port in await started.ports()]
    await started.stop(kill=True)
    return ports


async def record(image: str, names: list[str]) -> dict[str, object]:
    answers = {}
    async with dagger.connection():
        for name in names:
            try:
                answers[name] = await CASES[name](image)
            except Exception as error:  # a case that cannot end is itself an answer
                answers[name] = {"raised": type(error).__name__, "message": str(error)[:300]}
            print(f"{name}: {json.dumps(answers[name], ensure_ascii=False)[:160]}", file=sys.stderr)
    return answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", required=True)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--compare", type=Path)
    options = parser.parse_args()
    answers = asyncio.run(record(options.image, options.only or list(CASES)))
    if options.record:
        options.record.write_text(json.dumps(answers, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    if options.compare:
        reference = json.loads(options.compare.read_text())
        wrong = [name for name, answer in answers.items() if answer != reference.get(name)]
        for name in wrong:
            print(f"DIFFERS {name}\n  reference {json.dumps(reference.get(name))}\n  here      {json.dumps(answers[name])}")
        print(f"{len(answers) - len(wrong)} passed, {len(wrong)} failed")
        return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
