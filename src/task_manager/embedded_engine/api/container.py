"""Container: what it is made from, what runs in it, what it leaves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api import objects
from task_manager.embedded_engine.api.container_configuration import ContainerConfiguration
from task_manager.embedded_engine.api.container_files import ContainerFiles
from task_manager.embedded_engine.api.container_mounts import ContainerMounts
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.objects import field, unsupported
from task_manager.embedded_engine.api.service import Service
from task_manager.embedded_engine.api.state import ContainerState, assigned
from task_manager.embedded_engine.api.values import Secret
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.execution import Executed
from task_manager.embedded_engine.images.references import parse_reference
from task_manager.embedded_engine.images.sources import Credentials, ImageConfig
from task_manager.embedded_engine.toolchain import HOST_TOOLCHAIN

# A container with this label has no network but its own loopback.
NETWORK_LABEL = "task-manager.network"


class Container(ContainerConfiguration, ContainerFiles, ContainerMounts):
    """A container."""

    type_name = "Container"

    @field
    async def from_(self, address: str, registry_service: str | None = None) -> Self:
        """The container made from an image, or from the host's toolchain."""
        if registry_service:
            raise unsupported("Container", "from", "registryService")
        if address.partition(":")[0] == HOST_TOOLCHAIN:
            fingerprint = await self.session.threads.run(self.session.toolchain.fingerprint)
            image = f"{HOST_TOOLCHAIN}@sha256:{fingerprint}"
            return self._with(root=model.Toolchain(fingerprint), image=image, last=None)
        platform = self.state.platform
        image_found = await self.session.puller.resolve(address, platform, self._credentials(address))
        state = _configured(self.state, image_found.config)
        return type(self)(self.session, replace(state, root=image_found.root, image=image_found.pinned, last=None))

    @field
    def with_rootfs(self, directory: str) -> Self:
        """The container with a directory as its root."""
        source = objects.expect(self.session, directory, Directory)
        root = source.tree
        if source.path != "/":
            root = model.Edited(model.Scratch(), model.CopyFolder(source.tree, source.path, "/"))
        return self._with(root=root, image="")

    @field
    async def image_ref(self) -> str:
        """The image's reference with its digest, right after `from`."""
        if not self.state.image:
            raise ApiError(
                "Image reference can only be retrieved immediately after the 'Container.From' call. "
                "Error in fetching imageRef as the container image is changed"
            )
        return self.state.image

    @field
    def platform(self) -> str:
        """The platform."""
        return self.state.platform

    @field
    def with_registry_auth(self, address: str, username: str, secret: str) -> Self:
        """The container with a registry's user name and password."""
        value = objects.expect(self.session, secret, Secret).value
        registry = _registry(address)
        kept = tuple(item for item in self.state.registry_auth if item[0] != registry)
        return self._with(registry_auth=(*kept, (registry, username, value)))

    @field
    def without_registry_auth(self, address: str) -> Self:
        """The container without a registry's user name and password."""
        registry = _registry(address)
        return self._with(registry_auth=tuple(item for item in self.state.registry_auth if item[0] != registry))

    @field
    def with_exec(
        self,
        args: Sequence[str],
        *,
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
    ) -> Self:
        """The container after a command."""
        self._refuse_privileges("withExec", experimental_privileged_nesting, insecure_root_capabilities)
        if stdin and redirect_stdin:
            raise ApiError("cannot set both stdin and redirectStdin")
        command = self.state.command([self._expanded(arg, expand) for arg in args], use_entrypoint=bool(use_entrypoint))
        redirects = [self._redirect(path, expand) for path in (redirect_stdin, redirect_stdout, redirect_stderr)]
        execution = self._execution(command, stdin or "", redirects, expect or "SUCCESS", init=not no_init)
        return self._after(execution)

    @field
    def as_service(
        self,
        *,
        args: Sequence[str] | None = None,
        use_entrypoint: bool = False,
        experimental_privileged_nesting: bool = False,
        insecure_root_capabilities: bool = False,
        expand: bool = False,
        no_init: bool = False,
    ) -> Service:
        """The container as a service: a command that runs while others need it."""
        self._refuse_privileges("asService", experimental_privileged_nesting, insecure_root_capabilities)
        given = [self._expanded(arg, expand) for arg in args or ()]
        command = self.state.service_command(given, use_entrypoint=bool(use_entrypoint))
        execution = self._execution(command, "", ("", "", ""), "ANY", init=not no_init)
        execution = replace(execution, volatile_names=(), volatile_environment=())
        return Service(self.session, model.ServiceCommand(execution, self.state.ports))

    @field
    def with_service_binding(self, alias: str, service: str) -> Self:
        """The container whose commands reach a service by a name; it runs while they do."""
        command = objects.expect(self.session, service, Service).command
        kept = tuple(binding for binding in self.state.services if binding.alias != alias)
        return self._with(services=(*kept, model.Binding(alias, command)))

    @field
    async def stdout(self) -> str:
        """The last command's standard output."""
        return (await self._executed()).stream("stdout")

    @field
    async def stderr(self) -> str:
        """The last command's standard error."""
        return (await self._executed()).stream("stderr")

    @field
    async def combined_output(self) -> str:
        """Both of the last command's streams, in the order in which they came."""
        return (await self._executed()).stream("combined")

    @field
    async def exit_code(self) -> int:
        """The last command's exit code."""
        return (await self._executed()).exit_code

    @field
    async def sync(self) -> str:
        """Run everything now and return the container's id."""
        await self.session.evaluator.tree(self.state.root)
        for mount in self.state.mounts:
            if mount.tree is not None:
                await self.session.evaluator.tree(mount.tree)
        return self.id()

    @field
    def with_error(self, err: str) -> Self:
        """An error with this message, unless it is empty."""
        if err:
            raise ApiError(err)
        return self

    def _credentials(self, address: str) -> Credentials | None:
        registry = _registry(address)
        for known, username, secret in self.state.registry_auth:
            if known == registry:
                return Credentials(username, secret.value.decode())
        return None

    @staticmethod
    def _refuse_privileges(name: str, nesting: bool | None, all_capabilities: bool | None) -> None:
        if nesting:
            raise unsupported("Container", name, "experimentalPrivilegedNesting")
        if all_capabilities:
            raise unsupported("Container", name, "insecureRootCapabilities")

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
            services=state.services,
            volatile_names=tuple(name for name, _ in state.volatile),
            volatile_environment=state.volatile,
            labels=state.labels,
        )

    def _after(self, execution: model.Execution) -> Self:
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
        ports=tuple(model.ServicePort(number, protocol, None, checked=True) for number, protocol in config.ports),
        platform=config.platform or state.platform,
    )


def _registry(address: str) -> str:
    if "/" not in address and ("." in address or ":" in address or address == "localhost"):
        return address
    try:
        return parse_reference(address).registry
    except ApiError:
        return address
