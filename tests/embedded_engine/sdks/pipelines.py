"""The pipelines in Python: `python pipelines.py IMAGE PROJECT EXPORTS` prints what they gave as JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable

import dagger
from dagger import dag

Json = dict[str, object]

image, project, exports = sys.argv[1:]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def container() -> dagger.Container:
    return dag.container().from_(image)


async def files() -> Json:
    source = (
        dag.host()
        .directory(".", exclude=["build"])
        .with_new_file('added/quoted "ü".txt', 'brackets {"key": 1}\nline\ttwo\\', permissions=0o640)
        .without_file("notes.md")
    )
    built = (
        container()
        .with_workdir("/work")
        .with_directory(".", source)
        .with_mounted_cache("/cache", dag.cache_volume("pipelines"))
        .with_exec(shell("cat src/main.txt added/* > joined; stat -c '%a %n' added/* > modes; ls /cache >> modes"))
    )
    joined = await built.file("joined").sync()
    return {
        "entries": await source.entries(),
        "glob": await source.glob("**/*.txt"),
        "host_file": await dag.host().file("hello.txt").contents(),
        "joined": await joined.contents(),
        "size": await joined.size(),
        "name": await joined.name(),
        "modes": await built.file("modes").contents(),
        "changed": await source.diff(built.directory(".")).entries(),
    }


async def environment() -> Json:
    configured = (
        container()
        .with_env_variable("GREETING", 'say "hi" to $NOBODY')
        .with_env_variable("EXPANDED", "${PATH}:/more", expand=True)
        .with_env_variable("DROPPED", "1")
        .without_env_variable("DROPPED")
        .with_secret_variable("PASSWORD", dag.set_secret("password", "open sesame"))
        .with_label("kind", "test")
        .with_exposed_port(8080, description="web")
    )
    ran = configured.with_exec(shell("echo $GREETING; echo $EXPANDED; echo $PASSWORD; echo ${#PASSWORD}"))
    return {
        "greeting": await configured.env_variable("GREETING"),
        "unknown": await configured.env_variable("DROPPED"),
        "variables": [[await one.name(), await one.value()] for one in await configured.env_variables()],
        "labels": [[await one.name(), await one.value()] for one in await configured.labels()],
        "ports": [
            [await one.port(), (await one.protocol()).name, await one.description()]
            for one in await configured.exposed_ports()
        ],
        "seen": await ran.stdout(),
    }


async def failure() -> Json:
    failing = shell("echo out; echo err >&2; exit 3")
    expected = container().with_exec(failing, expect=dagger.ReturnType.ANY)
    return {
        "command": await error(container().with_exec(failing).with_exec(["true"]).stdout()),
        "executable": await error(container().with_exec(["no-such-command"]).sync()),
        "file": await error(dag.directory().file("missing").contents()),
        "unsupported": await error(dag.git("https://example.com/x.git").head().commit()),
        "expected": [await expected.exit_code(), await expected.stdout(), await expected.stderr()],
    }


async def error(pending: Awaitable[object]) -> Json:
    try:
        await pending
    except dagger.ExecError as caught:
        return {
            "message": caught.message,
            "cmd": caught.command,
            "exit_code": caught.exit_code,
            "stdout": caught.stdout,
            "stderr": caught.stderr,
        }
    except dagger.QueryError as caught:
        return {"message": str(caught)}
    raise AssertionError("an error was expected")


async def exported() -> Json:
    script = "mkdir -p /made/sub; echo one > /made/sub/one; cd /made; chmod 750 sub; ln -s sub/one link"
    made = container().with_exec(shell(script))
    await made.directory("/made").export(f"{exports}/directory")
    await made.file("/made/sub/one").export(exports, allow_parent_dir_path=True)
    await made.file("/made/sub/one").export("exported.txt")
    return {"workdir": await dag.host().directory(".").glob("exported*")}


async def service() -> Json:
    server = (
        container()
        .with_new_file("/www/index.html", "served")
        .with_exposed_port(8080)
        .as_service(args=["httpd", "-f", "-p", "8080", "-h", "/www"])
    )
    client = container().with_service_binding("web", server)
    return {"page": await client.with_exec(["wget", "-q", "-O", "-", "http://web:8080/"]).stdout()}


async def objects() -> Json:
    identity = await container().with_new_file("/kept", "kept").id()
    doubled = (container().with_exec(shell(f"expr {number} + {number}")).stdout() for number in range(1, 9))
    return {
        "version": await dag.version(),
        "platform": await dag.default_platform(),
        "loaded": await dag.load_container_from_id(dagger.ContainerID(identity)).file("/kept").contents(),
        "together": await asyncio.gather(*doubled),
    }


async def main() -> None:
    async with dagger.connection(dagger.Config(workdir=project, log_output=sys.stderr)):
        document = {
            "files": await files(),
            "environment": await environment(),
            "failure": await failure(),
            "exported": await exported(),
            "service": await service(),
            "objects": await objects(),
        }
    json.dump(document, sys.stdout)


asyncio.run(main())
