"""Container: what it is made from, what runs in it, what it leaves."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api import objects
from task_manager.embedded_engine.api.files import (
    Directory,
    File,
    Stat,
    path_exists,
    read_tree,
    status_reader,
    target_path,
)
from task_manager.embedded_engine.api.objects import ApiObject, field, unsupported
from task_manager.embedded_engine.api.paths import expand as expand_text
from task_manager.embedded_engine.api.state import ContainerState, ExposedPort, assigned, removed
from task_manager.embedded_engine.api.values import CacheVolume, EnvVariable, Label, Port, Secret
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.execution import Executed
from task_manager.embedded_engine.images.references import parse_reference
from task_manager.embedded_engine.images.registry import Credentials
from task_manager.embedded_engine.images.sources import ImageConfig
from task_manager.embedded_engine.patterns import Filter
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.toolchain import HOST_TOOLCHAIN

# A container with this label has no network but its own loopback.
NETWORK_LABEL = "task-manager.network"


class Container(ApiObject):
    """A container."""

    type_name = "Container"

    def __init__(self, session: Session, state: ContainerState) -> None:
        super().__init__(session)
        self.state = state

    def identity(self) -> str:
        return self.state.digest

    # What it is made from

    @field
    async def from_(self, address: str, registry_service: str | None = None) -> "Container":
        if registry_service:
            raise unsupported("Container", "from", "registryService")
        if address.partition(":")[0] == HOST_TOOLCHAIN:
            fingerprint = await self.session.threads.run(self.session.toolchain.fingerprint)
            image = f"{HOST_TOOLCHAIN}@sha256:{fingerprint}"
            return self._with(root=model.Toolchain(fingerprint), image=image, last=None)
        platform = self.state.platform
        image_found = await self.session.puller.resolve(address, platform, self._credentials(address))
        state = _configured(self.state, image_found.config)
        return Container(self.session, replace(state, root=image_found.root, image=image_found.pinned, last=None))

    @field
    def with_rootfs(self, directory: str) -> "Container":
        source = objects.expect(self.session, directory, Directory)
        root = source.tree
        if source.path != "/":
            root = model.Edited(model.Scratch(), model.CopyFolder(source.tree, source.path, "/"))
        return self._with(root=root, image="")

    @field
    def rootfs(self) -> Directory:
        return Directory(self.session, self.state.root)

    @field
    async def image_ref(self) -> str:
        if not self.state.image:
            raise ApiError(
                "Image reference can only be retrieved immediately after the 'Container.From' call. Error in fetching imageRef as the container image is changed"
            )
        return self.state.image

    @field
    def platform(self) -> str:
        return self.state.platform

    @field
    def with_registry_auth(self, address: str, username: str, secret: str) -> "Container":
        value = objects.expect(self.session, secret, Secret).value
        registry = _registry(address)
        kept = tuple(item for item in self.state.registry_auth if item[0] != registry)
        return self._with(registry_auth=(*kept, (registry, username, value)))

    @field
    def without_registry_auth(self, address: str) -> "Container":
        registry = _registry(address)
        return self._with(registry_auth=tuple(item for item in self.state.registry_auth if item[0] != registry))

    # Commands

    @field
    def with_exec(
        self,
        args: Sequence[str],
        use_entrypoint: bool = False,
        stdin: str = "",
        redirect_stdin: str = "",
        redirect_stdout: str = "",
        redirect_stderr: str = "",
        expect: str = "SUCCESS",
        experimental_privileged_nesting: bool = False,
        insecure_root_capabilities: bool = False,
        expand: bool = False,
        no_init: bool = False,
    ) -> "Container":
        if experimental_privileged_nesting:
            raise unsupported("Container", "withExec", "experimentalPrivilegedNesting")
        if insecure_root_capabilities:
            raise unsupported("Container", "withExec", "insecureRootCapabilities")
        if stdin and redirect_stdin:
            raise ApiError("cannot set both stdin and redirectStdin")
        command = self.state.command([self._expanded(arg, expand) for arg in args], use_entrypoint=bool(use_entrypoint))
        redirects = [self._redirect(path, expand) for path in (redirect_stdin, redirect_stdout, redirect_stderr)]
        execution = self._execution(command, stdin or "", redirects, expect or "SUCCESS", init=not no_init)
        return self._after(execution)

    @field
    async def stdout(self) -> str:
        return (await self._executed()).stream("stdout")

    @field
    async def stderr(self) -> str:
        return (await self._executed()).stream("stderr")

    @field
    async def combined_output(self) -> str:
        return (await self._executed()).stream("combined")

    @field
    async def exit_code(self) -> int:
        return (await self._executed()).exit_code

    @field
    async def sync(self) -> str:
        await self.session.evaluator.tree(self.state.root)
        for mount in self.state.mounts:
            if mount.tree is not None:
                await self.session.evaluator.tree(mount.tree)
        return self.id()

    @field
    def with_error(self, err: str) -> "Container":
        if err:
            raise ApiError(err)
        return self

    # Configuration

    @field
    def with_env_variable(self, name: str, value: str, expand: bool = False) -> "Container":
        return self._with(environment=assigned(self.state.environment, name, self._expanded(value, expand)))

    @field
    def without_env_variable(self, name: str) -> "Container":
        return self._with(environment=removed(self.state.environment, name))

    @field
    def env_variable(self, name: str) -> str | None:
        return dict(self.state.environment).get(name)

    @field
    def env_variables(self) -> list[EnvVariable]:
        return [EnvVariable(self.session, name, value) for name, value in self.state.environment]

    @field
    def with_volatile_variable(self, name: str, value: str) -> "Container":
        return self._with(volatile=assigned(self.state.volatile, name, value))

    @field
    def without_volatile_variable(self, name: str) -> "Container":
        return self._with(volatile=removed(self.state.volatile, name))

    @field
    def with_secret_variable(self, name: str, secret: str) -> "Container":
        value = objects.expect(self.session, secret, Secret).value
        kept = tuple(item for item in self.state.secrets if item[0] != name)
        return self._with(secrets=(*kept, (name, value)))

    @field
    def without_secret_variable(self, name: str) -> "Container":
        return self._with(secrets=tuple(item for item in self.state.secrets if item[0] != name))

    @field
    def with_workdir(self, path: str, expand: bool = False) -> "Container":
        return self._with(working_folder=self._path(path, expand))

    @field
    def without_workdir(self) -> "Container":
        return self._with(working_folder="")

    @field
    def workdir(self) -> str:
        return self.state.working_folder

    @field
    def with_user(self, name: str) -> "Container":
        return self._with(user=name)

    @field
    def without_user(self) -> "Container":
        return self._with(user="")

    @field
    def user(self) -> str:
        return self.state.user

    @field
    def with_entrypoint(self, args: Sequence[str], keep_default_args: bool = False) -> "Container":
        default_args = self.state.default_args if keep_default_args else ()
        return self._with(entrypoint=tuple(args), default_args=default_args)

    @field
    def without_entrypoint(self, keep_default_args: bool = False) -> "Container":
        return self.with_entrypoint((), keep_default_args)

    @field
    def entrypoint(self) -> list[str]:
        return list(self.state.entrypoint)

    @field
    def with_default_args(self, args: Sequence[str]) -> "Container":
        return self._with(default_args=tuple(args))

    @field
    def without_default_args(self) -> "Container":
        return self._with(default_args=())

    @field
    def default_args(self) -> list[str]:
        return list(self.state.default_args)

    @field
    def with_label(self, name: str, value: str) -> "Container":
        return self._with(labels=assigned(self.state.labels, name, value))

    @field
    def without_label(self, name: str) -> "Container":
        return self._with(labels=removed(self.state.labels, name))

    @field
    def label(self, name: str) -> str | None:
        return dict(self.state.labels).get(name)

    @field
    def labels(self) -> list[Label]:
        return [Label(self.session, name, value) for name, value in sorted(self.state.labels)]

    @field
    def with_annotation(self, name: str, value: str) -> "Container":
        return self._with(annotations=assigned(self.state.annotations, name, value))

    @field
    def without_annotation(self, name: str) -> "Container":
        return self._with(annotations=removed(self.state.annotations, name))

    @field
    def with_exposed_port(
        self,
        port: int,
        protocol: str = "TCP",
        description: str | None = None,
        experimental_skip_healthcheck: bool = False,
    ) -> "Container":
        exposed = ExposedPort(port, protocol or "TCP", description, bool(experimental_skip_healthcheck))
        return self._with(ports=(*self._other_ports(port, exposed.protocol), exposed))

    @field
    def without_exposed_port(self, port: int, protocol: str = "TCP") -> "Container":
        return self._with(ports=self._other_ports(port, protocol or "TCP"))

    @field
    def exposed_ports(self) -> list[Port]:
        return [Port(self.session, port) for port in self.state.ports]

    # Its file system

    @field
    def directory(self, path: str, expand: bool = False) -> Directory:
        given = self._expanded(path, expand)
        _, tree, inner = self.state.locate(self.state.resolve(given))
        return Directory(self.session, tree, inner, given)

    @field
    def file(self, path: str, expand: bool = False) -> File:
        given = self._expanded(path, expand)
        _, tree, inner = self.state.locate(self.state.resolve(given))
        return File(self.session, tree, inner, given)

    @field
    async def exists(
        self, path: str, expected_type: str | None = None, do_not_follow_symlinks: bool = False, expand: bool = False
    ) -> bool:
        _, tree, inner = self.state.locate(self._path(path, expand))
        return await path_exists(self.session, tree, inner, expected_type, follow=not do_not_follow_symlinks)

    @field
    async def stat(self, path: str, do_not_follow_symlinks: bool = False) -> Stat:
        _, tree, inner = self.state.locate(self.state.resolve(path))
        status = await read_tree(self.session, tree, status_reader(inner, path, follow=not do_not_follow_symlinks))
        return Stat(self.session, posixpath.basename(path.rstrip("/")), status)

    @field
    def with_new_file(
        self, path: str, contents: str, permissions: int | None = 0o644, owner: str = "", expand: bool = False
    ) -> "Container":
        mount, _, inner = self.state.locate(self._path(path, expand))
        data = contents.encode("utf-8", "surrogatepass")
        return self._edited(mount, model.WriteFile(inner, data, permissions or 0, owner or ""))

    @field
    def with_directory(
        self,
        path: str,
        source: str,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        gitignore: bool = False,
        owner: str = "",
        expand: bool = False,
        permissions: int | None = None,
    ) -> "Container":
        other = objects.expect(self.session, source, Directory)
        mount, _, inner = self.state.locate(self._path(path, expand))
        filtered = Filter.of(include, exclude, gitignore=bool(gitignore))
        return self._edited(mount, model.CopyFolder(other.tree, other.path, inner, filtered, owner or "", permissions))

    @field
    def with_file(
        self, path: str, source: str, permissions: int | None = None, owner: str = "", expand: bool = False
    ) -> "Container":
        other = objects.expect(self.session, source, File)
        given = self._expanded(path, expand)
        mount, _, inner = self.state.locate(self.state.resolve(given))
        return self._edited(mount, other.copied_to(target_path(inner, given), permissions, owner))

    @field
    def with_files(
        self, path: str, sources: Sequence[str], permissions: int | None = None, owner: str = "", expand: bool = False
    ) -> "Container":
        container = self
        for source in sources:
            container = container.with_file(path.rstrip("/") + "/", source, permissions, owner, expand)
        return container

    @field
    def with_symlink(self, target: str, link_name: str, expand: bool = False) -> "Container":
        mount, _, inner = self.state.locate(self._path(link_name, expand))
        return self._edited(mount, model.MakeLink(self._expanded(target, expand), inner))

    @field
    def without_directory(self, path: str, expand: bool = False) -> "Container":
        return self.without_files([path], expand)

    @field
    def without_file(self, path: str, expand: bool = False) -> "Container":
        return self.without_files([path], expand)

    @field
    def without_files(self, paths: Sequence[str], expand: bool = False) -> "Container":
        container = self
        for path in paths:
            mount, _, inner = container.state.locate(self._path(path, expand))
            container = container._edited(mount, model.Remove((inner,)))
        return container

    # Mounts

    @field
    def with_mounted_directory(
        self, path: str, source: str, owner: str = "", read_only: bool = False, expand: bool = False
    ) -> "Container":
        other = objects.expect(self.session, source, Directory)
        tree = model.Edited(other.tree, model.ChangeOwner(other.path, owner)) if owner else other.tree
        target = self._path(path, expand)
        return self._mounted(model.Mount("tree", target, tree, other.path, read_only=bool(read_only)))

    @field
    def with_mounted_file(self, path: str, source: str, owner: str = "", expand: bool = False) -> "Container":
        other = objects.expect(self.session, source, File)
        tree = model.Edited(other.tree, model.ChangeOwner(other.path, owner)) if owner else other.tree
        return self._mounted(model.Mount("file", self._path(path, expand), tree, other.path))

    @field
    def with_mounted_cache(
        self,
        path: str,
        cache: str,
        source: str | None = None,
        sharing: str = "SHARED",
        owner: str = "",
        expand: bool = False,
    ) -> "Container":
        volume = objects.expect(self.session, cache, CacheVolume)
        key = volume.key
        if source:
            begun = objects.expect(self.session, source, Directory)
            key = replace(key, source=begun.tree, source_path=begun.path)
        key = replace(key, owner=owner) if owner else key
        chosen = sharing if sharing and sharing != "SHARED" else volume.sharing
        return self._mounted(model.Mount("cache", self._path(path, expand), cache=key, sharing=chosen))

    @field
    def with_mounted_temp(self, path: str, size: int | None = None, expand: bool = False) -> "Container":
        return self._mounted(model.Mount("temporary", self._path(path, expand), size=size))

    @field
    def with_mounted_secret(
        self, path: str, source: str, owner: str = "", mode: int | None = 0o400, expand: bool = False
    ) -> "Container":
        secret = objects.expect(self.session, source, Secret).value
        chosen = 0o400 if mode is None else mode
        return self._mounted(
            model.Mount("secret", self._path(path, expand), secret=secret, owner=owner or "", mode=chosen)
        )

    @field
    def without_mount(self, path: str, expand: bool = False) -> "Container":
        target = self._path(path, expand)
        return self._with(mounts=tuple(mount for mount in self.state.mounts if mount.target != target))

    @field
    def mounts(self) -> list[str]:
        return [mount.target for mount in self.state.mounts]

    def _with(self, **changes: Any) -> "Container":
        return Container(self.session, replace(self.state, **changes))

    def _edited(self, mount: model.Mount | None, action: model.Action) -> "Container":
        return Container(self.session, self.state.edited(mount, action))

    def _mounted(self, mount: model.Mount) -> "Container":
        return Container(self.session, self.state.mounted(mount))

    def _other_ports(self, number: int, protocol: str) -> tuple[ExposedPort, ...]:
        return tuple(port for port in self.state.ports if (port.number, port.protocol) != (number, protocol))

    def _expanded(self, text: str, expand: bool | None) -> str:
        return expand_text(text, self._variable) if expand else text

    def _variable(self, name: str) -> str:
        if any(name == secret for secret, _ in self.state.secrets):
            raise ApiError(f'expand cannot be used with secret env variable "{name}"')
        if any(name == volatile for volatile, _ in self.state.volatile):
            raise ApiError(f'expand cannot be used with volatile env variable "{name}"')
        return dict(self.state.environment).get(name, "")

    def _path(self, path: str, expand: bool | None) -> str:
        return self.state.resolve(self._expanded(path, expand))

    def _redirect(self, path: str | None, expand: bool | None) -> str:
        return self._path(path, expand) if path else ""

    def _credentials(self, address: str) -> Credentials | None:
        registry = _registry(address)
        for known, username, secret in self.state.registry_auth:
            if known == registry:
                return Credentials(username, secret.value.decode())
        return None

    def _execution(
        self, command: tuple[str, ...], stdin: str, redirects: Sequence[str], expected: str, *, init: bool
    ) -> model.Execution:
        state = self.state
        return model.Execution(
            root=state.root,
            arguments=command,
            environment=state.environment,
            working_folder=state.working_folder or "/",
            user=state.user,
            mounts=state.mounts,
            secret_environment=state.secrets,
            stdin=stdin,
            redirect_stdin=redirects[0],
            redirect_stdout=redirects[1],
            redirect_stderr=redirects[2],
            expect=expected,
            network=dict(state.labels).get(NETWORK_LABEL) != "none",
            init=init,
            volatile_environment=state.volatile,
        )

    def _after(self, execution: model.Execution) -> "Container":
        """Return the container that a command leaves: its root and its writable mounts are the command's outputs."""
        index = 0
        mounts: list[model.Mount] = []
        for mount in self.state.mounts:
            if mount.has_output:
                index += 1
                mounts.append(replace(mount, tree=model.Output(execution, index)))
            else:
                mounts.append(mount)
        return self._with(root=model.Output(execution, 0), mounts=tuple(mounts), last=execution, image="")

    async def _executed(self) -> Executed:
        if self.state.last is None:
            raise ApiError("no command has been set")
        await self.session.evaluator.tree(self.state.root)
        return await self.session.evaluator.execution(self.state.last)


def _configured(state: ContainerState, config: ImageConfig) -> ContainerState:
    """Return a container with an image's configuration; what was set before it counts over the image's."""
    environment = config.environment
    for name, value in state.environment:
        environment = assigned(environment, name, value)
    return replace(
        state,
        environment=environment,
        entrypoint=config.entrypoint,
        default_args=config.default_args,
        working_folder=config.working_folder,
        user=config.user,
        labels=tuple({**dict(config.labels), **dict(state.labels)}.items()),
        ports=tuple(ExposedPort(number, protocol) for number, protocol in config.ports),
        platform=config.platform or state.platform,
    )


def _registry(address: str) -> str:
    if "/" not in address and ("." in address or ":" in address or address == "localhost"):
        return address
    try:
        return parse_reference(address).registry
    except ApiError:
        return address
