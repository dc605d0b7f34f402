"""A session: the parts of the engine put together for one server."""

import asyncio
import hmac
import secrets
from contextlib import suppress
from pathlib import Path

from task_manager.embedded_engine.api.objects import ObjectRegistry
from task_manager.embedded_engine.caches import CacheVolumes
from task_manager.embedded_engine.config import EngineConfig
from task_manager.embedded_engine.evaluator import Evaluator
from task_manager.embedded_engine.execution import Addresses, Executor
from task_manager.embedded_engine.host import HostFiles
from task_manager.embedded_engine.images.puller import ImagePuller
from task_manager.embedded_engine.images.sources import RegistrySettings
from task_manager.embedded_engine.sandbox.launcher import Launcher
from task_manager.embedded_engine.services import Services
from task_manager.embedded_engine.snapshots import Threads, Views
from task_manager.embedded_engine.store.answers import KeptAnswers
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.toolchain import HostToolchain

_FLUSH_SECONDS = 5.0
_PARALLEL_DOWNLOADS = 4


class Session:
    """Everything that requests are answered with."""

    def __init__(self, config: EngineConfig, launcher: Launcher, workdir: Path) -> None:
        self.config = config
        self.workdir = workdir
        self.objects = ObjectRegistry()
        self.store = LayerStore(config.state_dir)
        self.answers = KeptAnswers(config.state_dir / "answers")
        self.threads = Threads(max(4, config.parallelism * 2))
        self.toolchain = HostToolchain()
        self._launcher = launcher
        self._views = Views(self.store)
        self.puller = ImagePuller(self.store, self.threads, _registry_settings(config), _PARALLEL_DOWNLOADS)
        self.host_files = HostFiles(self.store, self.threads)
        self.evaluator: Evaluator
        self.services: Services
        self._flushing: asyncio.Task[None] | None = None
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
            parallelism=self.config.parallelism,
        )
        self.services = Services(self._launcher, executor, addresses)
        self.evaluator = Evaluator(
            self.store,
            self.threads,
            views=self._views,
            puller=self.puller,
            executor=executor,
            services=self.services,
        )
        self.services.attach(self.evaluator)
        caches.attach(self.evaluator)
        self._flushing = asyncio.ensure_future(self._flush_now_and_then())

    async def close(self) -> None:
        """Flush the store and leave nothing running."""
        if self._flushing is not None:
            self._flushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._flushing
        await self.services.close()
        await self.puller.close()
        self._launcher.close()
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
            with suppress(FileExistsError), path.open("xb") as file:
                path.chmod(0o600)
                file.write(secrets.token_bytes(32))
            return path.read_bytes()

    def _write_network_files(self) -> None:
        folder = self.store.session_folder
        with self.store.guarded():
            resolver = Path("/etc/resolv.conf")
            text = resolver.read_text(encoding="utf-8", errors="replace") if resolver.is_file() else ""
            (folder / "resolv.conf").write_text(text, encoding="utf-8")

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            with suppress(OSError):
                await self.threads.run(self.store.flush)


def _registry_settings(config: EngineConfig) -> RegistrySettings:
    return RegistrySettings(config.mirrors, config.insecure, config.connect_timeout, config.pull_timeout)
