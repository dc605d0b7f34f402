"""Image registries on loopback: Debian's `docker-registry`, one process each, and addresses where none answers."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import yaml

from tests.environment import oci
from tests.environment.packages import require

START_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.02
_FILLERS: Final = 4


@dataclass(frozen=True)
class Account:
    """Somebody that a registry lets in."""

    name: str
    password: str
    htpasswd: str
    """The line of an htpasswd file: the name and the bcrypt hash of the password."""


ACCOUNT: Final = Account(
    "tester", "correct horse", "tester:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"
)


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes:
        host: `127.0.0.1:PORT`, as it stands in an image reference.
        process: The registry's process id.
        account: Who may push and pull; None when everybody may.
    """

    host: str
    process: int
    account: Account | None = None

    def client(self) -> httpx.Client:
        """Returns a client of the registry's HTTP API, signed in where that is asked for."""
        auth = httpx.BasicAuth(self.account.name, self.account.password) if self.account else None
        return httpx.Client(base_url=f"http://{self.host}/v2", auth=auth, timeout=60, trust_env=False)

    def push(self, layout: Path, name: str, tag: str) -> str:
        """Uploads the image of a layout as `name:tag`; returns the reference to pull it by."""
        manifest = oci.manifest_of(layout)
        config, layers = oci.read_manifest(layout)
        with self.client() as client:
            for blob in (config, *layers):
                _push_blob(client, name, layout, blob)
            answer = client.put(
                f"/{name}/manifests/{tag}",
                content=oci.blob_path(layout, manifest.digest).read_bytes(),
                headers={"Content-Type": manifest.media_type},
            )
            answer.raise_for_status()
        return f"{self.host}/{name}:{tag}"


@contextlib.contextmanager
def running_registry(folder: Path, *, account: Account | None = None) -> Iterator[Registry]:
    """Runs a registry until the block ends, on a loopback port that the system chooses.

    Args:
        folder: An empty folder for the registry's configuration, log and blobs.
        account: The only account that may push and pull; without one everybody may.
    """
    require("docker-registry")
    config = _write_config(folder, account)
    log = folder / "log"
    # The registry must not outlive a test run that was killed.
    command = ["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={"PATH": oci.SYSTEM_PATH})
    try:
        yield Registry(_wait_for_address(process, log), process.pid, account)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def refused_address() -> Iterator[str]:
    """Holds `127.0.0.1:PORT` where every connection is refused, until the block ends."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def black_hole_address() -> Iterator[str]:
    """Holds `127.0.0.1:PORT` where no connection is ever made nor refused, until the block ends.

    The system answers no further connection while those that nobody accepts fill the queue (listen(2)).
    """
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_FILLERS):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def _write_config(folder: Path, account: Account | None) -> Path:
    """Writes the registry's configuration (distribution 2.8, `configuration.md`); returns its file."""
    settings: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0", "secret": "only for tests"},
    }
    if account:
        (folder / "htpasswd").write_text(f"{account.htpasswd}\n")
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump(settings))
    return config


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        _, found, rest = log.read_text().partition('"msg":"listening on ')
        if found and _answers(host := rest.partition('"')[0]):
            return host
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"docker-registry did not start: {log.read_text()}")


def _answers(host: str) -> bool:
    try:
        httpx.get(f"http://{host}/v2/", trust_env=False, timeout=5)
    except httpx.TransportError:
        return False
    return True


def _push_blob(client: httpx.Client, name: str, layout: Path, blob: oci.Descriptor) -> None:
    """Uploads a blob in one piece, unless the registry has it (distribution 2.8, `spec/api.md`, "Pushing An Image")."""
    if client.head(f"/{name}/blobs/{blob.digest}").is_success:
        return
    upload = client.post(f"/{name}/blobs/uploads/").raise_for_status()
    with oci.blob_path(layout, blob.digest).open("rb") as content:
        client.put(
            httpx.URL(upload.headers["Location"]).copy_merge_params({"digest": blob.digest}),
            content=content,
            headers={"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"},
        ).raise_for_status()
