"""Query and Host: where every chain of calls begins."""

import os
import posixpath
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.container import Container
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import ApiObject, expect, field
from task_manager.embedded_engine.api.state import ContainerState
from task_manager.embedded_engine.api.values import CacheVolume, Secret
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.images.platforms import default_platform, normalised
from task_manager.embedded_engine.patterns import Filter

# The version of the API that is spoken: that of the SDK which the schema was read from.
API_VERSION = "v0.21.8"


class Query(ApiObject):
    """The root."""

    type_name = "Query"

    def identity(self) -> str:
        """Return nothing: there is one root."""
        return ""

    @field
    def version(self) -> str:
        """The version of the API."""
        return API_VERSION

    @field
    def default_platform(self) -> str:
        """This machine's platform."""
        return default_platform()

    @field
    def container(self, platform: str | None = None) -> Container:
        """An empty container."""
        return Container(self.session, ContainerState(platform=normalised(platform or default_platform())))

    @field
    def directory(self) -> Directory:
        """An empty directory."""
        return Directory(self.session, model.Scratch())

    @field
    def file(self, name: str, contents: str, permissions: int | None = 0o644) -> File:
        """A file of some contents."""
        if posixpath.dirname(name):
            raise ApiError(f'file name "{name}" must not contain a directory')
        data = contents.encode("utf-8", "surrogatepass")
        return File(
            self.session, model.Edited(model.Scratch(), model.WriteFile(f"/{name}", data, permissions or 0)), f"/{name}"
        )

    @field
    def host(self) -> "Host":
        """The machine that the session runs on."""
        return Host(self.session)

    @field
    def set_secret(self, name: str, plaintext: str) -> Secret:
        """A secret of a given value."""
        value = plaintext.encode("utf-8", "surrogatepass")
        return Secret(self.session, model.SecretValue(name, self.session.secret_key(value), value))

    @field
    async def secret(self, uri: str, cache_key: str | None = None) -> Secret:
        """A secret by its address: env://NAME, file://PATH or cmd://COMMAND."""
        value = await self.session.threads.run(_secret_value, uri)
        key = f"named:{cache_key}" if cache_key else self.session.secret_key(value)
        return Secret(self.session, model.SecretValue(uri, key, value), uri)

    @field
    def cache_volume(
        self, key: str, source: str | None = None, sharing: str = "SHARED", owner: str = ""
    ) -> CacheVolume:
        """A cache volume by its key."""
        begun = expect(self.session, source, Directory) if source else None
        tree, path = (begun.tree, begun.path) if begun else (None, "/")
        return CacheVolume(self.session, model.CacheVolumeKey(key, tree, path, owner or ""), sharing or "SHARED")

    @field
    def node(self, id: str) -> ApiObject:  # noqa: A002 - the argument's name in the API
        """Any object by its id."""
        return self.session.objects.load(id)


class Host(ApiObject):
    """The machine that the session runs on."""

    type_name = "Host"

    def identity(self) -> str:
        """Return a constant: there is one host."""
        return "host"

    @field
    async def directory(
        self,
        path: str,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        no_cache: bool = False,
        gitignore: bool = False,
    ) -> Directory:
        """A folder of the host, as it is now or was when this session first read it."""
        filtered = Filter.of(include, exclude, gitignore=bool(gitignore))
        tree = await self.session.host_files.folder(self._host_path(path), filtered, fresh=bool(no_cache))
        return Directory(self.session, tree)

    @field
    async def file(self, path: str, no_cache: bool = False) -> File:
        """A file of the host, as it is now or was when this session first read it."""
        found = self._host_path(path)
        tree = await self.session.host_files.file(found, fresh=bool(no_cache))
        return File(self.session, tree, f"/{found.name}")

    @field
    def find_up(self, name: str, no_cache: bool = False) -> str | None:
        """The path, from the working folder, of the nearest file or folder of a name there or above; null for none."""
        del no_cache
        folder = self.session.workdir
        for candidate in (folder, *folder.parents):
            if (candidate / name).exists():
                return os.path.relpath(candidate / name, folder)
        return None

    def _host_path(self, path: str) -> Path:
        return Path(posixpath.normpath(self.session.host_path(path)))


def _secret_value(uri: str) -> bytes:
    """Return the value that a secret's address names.

    Raises:
        ApiError: It names none.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "env":
        if rest not in os.environ:
            raise ApiError(f'secret env var not found: "{rest[:4]}..."')
        return os.environb[rest.encode()]
    if scheme == "file":
        try:
            return Path(unquote(rest)).expanduser().read_bytes()
        except OSError as error:
            raise ApiError(f"failed to read secret file {rest}: {(error.strerror or '').lower()}") from error
    if scheme == "cmd":
        ran = subprocess.run(shlex.split(rest), capture_output=True, check=False)
        if ran.returncode:
            raise ApiError(f"failed to run secret command: exit code {ran.returncode}")
        return ran.stdout
    raise ApiError(f"unsupported secret provider: {scheme!r}; offered are env://NAME, file://PATH and cmd://COMMAND")
