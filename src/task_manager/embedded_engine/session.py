"""A session: the parts of the engine put together for one server."""

import asyncio
import hmac
import logging
import secrets
import time
from contextlib import suppress
from pathlib import Path

from task_manager.embedded_engine.api.objects import ObjectRegistry
from task_manager.embedded_engine.caches import CacheVolumes
from task_manager.embedded_engine.config import EngineConfig, command_limits
from task_manager.embedded_engine.evaluator import Evaluator
from task_manager.embedded_engine.events import Events
from task_manager.embedded_engine.execution import HOSTS, Addresses, Executor
from task_manager.embedded_engine.host import HostFiles
from task_manager.embedded_engine.images.puller import ImagePuller
from task_manager.embedded_engine.images.sources import RegistrySettings
from task_manager.embedded_engine.sandbox.launcher import Launcher
from task_manager.embedded_engine.sandbox.uplink import outer_name_servers, reachable_name_servers
from task_manager.embedded_engine.services import Services
from task_manager.embedded_engine.snapshots import Threads, Views
from task_manager.embedded_engine.store.answers import KeptAnswers
from task_manager.embedded_engine.store.collection import Limits, collect
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.toolchain import HostToolchain

_log = logging.getLogger(__name__)
_FLUSH_SECONDS = 5.0
# How long noting seals may keep a thread busy at a time, and may delay a session's end.
_SEAL_SECONDS = 1.0
_SEAL_AT_END_SECONDS = 0.3
_PARALLEL_DOWNLOADS = 4


class Session:
    """Everything that requests are answered with.

    Args:
        config: The settings.
        launcher: Starts commands.
        workdir: Where relative paths of the host start.
        no_way_out: Why commands in a network of their own reach no other machine; empty where they do.
        has_gateway: Whether they do by a gateway, which leads to no name server on the host's loopback.
    """

    def __init__(
        self, config: EngineConfig, launcher: Launcher, workdir: Path, no_way_out: str, *, has_gateway: bool
    ) -> None:
        self.config = config
        self.workdir = workdir
        self.objects = ObjectRegistry()
        self.events = Events()
        self.store = LayerStore(config.state_dir)
        self.answers = KeptAnswers(config.state_dir / "answers", self.store.session_folder)
        self.threads = Threads(max(4, config.parallelism * 2))
        self.toolchain = HostToolchain()
        self._launcher = launcher
        self._no_way_out = no_way_out
        self._has_gateway = has_gateway
        self._views = Views(self.store)
        self.puller = ImagePuller(self.store, self.threads, _registry_settings(config), _PARALLEL_DOWNLOADS)
        self.host_files = HostFiles(self.store, self.threads)
        self.evaluator: Evaluator
        self.services: Services
        self._keeping: asyncio.Task[None] | None = None
        self._salt = b""

    async def open(self) -> None:
        """Open the store and begin to take commands.

        Raises:
            StorageError: The store cannot be used.
        """
        self.store.open()
        self._salt = self._secret_salt()
        self._write_network_files()
        self._launcher.attach()
        caches = CacheVolumes(self.store, self.threads)
        addresses = Addresses()
        executor = Executor(
            self.store,
            self._launcher,
            self.threads,
            caches=caches,
            toolchain=self.toolchain,
            addresses=addresses,
            events=self.events,
            parallelism=self.config.parallelism,
            network=self.config.network,
            no_way_out=self._no_way_out,
            limits=command_limits(self.config),
        )
        self.services = Services(self._launcher, executor, addresses)
        self.evaluator = Evaluator(
            self.store,
            self.threads,
            views=self._views,
            puller=self.puller,
            executor=executor,
            services=self.services,
            events=self.events,
        )
        self.services.attach(self.evaluator)
        caches.attach(self.evaluator)
        self._keeping = asyncio.ensure_future(self._keep_store())

    async def close(self) -> None:
        """Flush the store and leave nothing running."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        await self.services.close()
        await self.puller.close()
        self._launcher.close()
        await self.threads.run(self._leave_store)
        self.threads.close()
        self._views.close()
        self.store.close()

    def host_path(self, path: str) -> Path:
        """Return a path of the host: relative ones start at the session's working folder."""
        return self.workdir / Path(path).expanduser() if path.startswith("~/") else self.workdir / path

    def secret_key(self, value: bytes) -> str:
        """Return what stands for a secret's value in digests.

        Without the store's own salt nobody can test guesses on it.
        """
        return hmac.new(self._salt, value, "sha256").hexdigest()

    def _secret_salt(self) -> bytes:
        path = self.store.root / "salt"
        with self.store.guarded():
            if not path.exists():
                aside = self.store.session_folder / "salt"
                aside.touch(mode=0o600)
                aside.write_bytes(secrets.token_bytes(32))
                with suppress(FileExistsError):
                    path.hardlink_to(aside)
            return path.read_bytes()

    def _write_network_files(self) -> None:
        folder = self.store.session_folder
        with self.store.guarded():
            text = _text_of("/etc/resolv.conf")
            if self._has_gateway:
                text = outer_name_servers(text, _text_of("/run/systemd/resolve/resolv.conf"))
            elif self.config.network != "host":
                text = reachable_name_servers(text)
            (folder / "resolv.conf").write_text(text, encoding="utf-8")
            (folder / "hosts").write_text(HOSTS, encoding="utf-8")

    async def _keep_store(self) -> None:
        """Collect garbage once clients have what they came for first; flush and seal now and then."""
        await asyncio.sleep(_FLUSH_SECONDS)
        await self.threads.run(self._collect_garbage)
        while True:
            with suppress(OSError):
                await self.threads.run(self.store.flush)
            await self.threads.run(self.store.seal, _SEAL_SECONDS)
            await asyncio.sleep(_FLUSH_SECONDS)

    def _leave_store(self) -> None:
        self.store.seal(_SEAL_AT_END_SECONDS)
        self.store.release()
        if self.store.grown:
            self._collect_garbage()

    def _collect_garbage(self) -> None:
        try:
            collected = collect(self.store, Limits(self.config.max_bytes, self.config.max_age), time.time())
        except OSError as error:
            _log.warning("the store %s could not be pruned: %s", self.store.root, error)
            return
        if collected.removed:
            _log.info("pruned %d results, %d bytes", collected.removed, collected.freed)


def _text_of(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).is_file() else ""


def _registry_settings(config: EngineConfig) -> RegistrySettings:
    return RegistrySettings(config.mirrors, config.insecure, config.connect_timeout, config.pull_timeout)
