"""A client of container registries; specification: OCI distribution-spec."""

import base64
import json
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from task_manager.embedded_engine.errors import ApiError, ImageNotPulledError, RegistryUnreachableError
from task_manager.embedded_engine.images.references import Reference, is_loopback
from task_manager.embedded_engine.images.sources import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Credentials,
    Manifest,
    RegistrySettings,
    sha256,
)

_LARGEST_MANIFEST = 8 << 20
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')
_DOCKER_HUB_AUTH = "https://index.docker.io/v1/"


class RegistryClient:
    """One HTTP client for all registries of a session, with the tokens that they gave."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        timeout = httpx.Timeout(settings.pull_timeout, connect=settings.connect_timeout)
        # A proxy that the environment names knows nothing of this machine's own loopback.
        direct: dict[str, None] = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))
        self._http = httpx.AsyncClient(timeout=timeout, follow_redirects=True, mounts=direct)
        # Per host, repository and who asked: a token is nobody else's.
        self._tokens: dict[tuple[str, str, Credentials | None], str] = {}

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    def repository(self, reference: Reference, credentials: Credentials | None = None) -> "RegistryRepository":
        """Return the source of a reference's images."""
        return RegistryRepository(self, reference, credentials or docker_credentials(reference))

    def bases(self, reference: Reference) -> list[str]:
        """Return the base URLs to try for a reference, mirrors first."""
        mirrors = [mirror.rstrip("/") for mirror in self.settings.mirrors.get(reference.registry, ())]
        plain = is_loopback(reference.host) or reference.host in self.settings.insecure
        return [*mirrors, f"{'http' if plain else 'https'}://{reference.host}"]

    @asynccontextmanager
    async def get(
        self, url: str, accept: str, reference: Reference, credentials: Credentials | None
    ) -> AsyncIterator[httpx.Response]:
        """Give a response, signed in where the registry asks for that.

        Raises:
            httpx.HTTPError: The registry was not reached, or broke off.
        """
        key = (httpx.URL(url).netloc.decode(), reference.repository, credentials)
        async with self._http.stream("GET", url, headers=self._headers(accept, key)) as response:
            if response.status_code != httpx.codes.UNAUTHORIZED:
                yield response
                return
            challenge = response.headers.get("www-authenticate", "")
        authorization = await self._sign_in(challenge, reference, credentials)
        if authorization:
            self._tokens[key] = authorization
        async with self._http.stream("GET", url, headers=self._headers(accept, key)) as response:
            yield response

    def _headers(self, accept: str, key: tuple[str, str, Credentials | None]) -> dict[str, str]:
        headers = {"accept": accept}
        if token := self._tokens.get(key):
            headers["authorization"] = token
        return headers

    async def _sign_in(self, challenge: str, reference: Reference, credentials: Credentials | None) -> str:
        """Return what goes into the Authorization header; specification: distribution's token authentication."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return _basic(credentials) if credentials else ""
        if scheme.lower() != "bearer":
            return ""
        fields = dict(_CHALLENGE_FIELD.findall(rest))
        query = {
            "service": fields.get("service", ""),
            "scope": fields.get("scope", f"repository:{reference.repository}:pull"),
        }
        headers = {"authorization": _basic(credentials)} if credentials else {}
        response = await self._http.get(fields.get("realm", ""), params=query, headers=headers)
        if response.status_code != httpx.codes.OK:
            return ""
        answer = response.json()
        return f"Bearer {answer.get('token') or answer.get('access_token')}"


class RegistryRepository:
    """One repository's manifests and blobs."""

    def __init__(self, client: RegistryClient, reference: Reference, credentials: Credentials | None) -> None:
        self._client = client
        self._reference = reference
        self._credentials = credentials

    async def manifest(self, target: str) -> Manifest:
        """Return the manifest or index that a tag or digest names.

        Raises:
            RegistryUnreachableError: No mirror and not the registry itself answered.
            ImageNotPulledError: It answered, but not with that manifest.
        """
        async with self._response(f"manifests/{target}", ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))) as response:
            data = bytearray()
            async for piece in response.aiter_bytes():
                data += piece
                if len(data) > _LARGEST_MANIFEST:
                    raise self._refused(f"its manifest is larger than {_LARGEST_MANIFEST} bytes")
        manifest = Manifest(bytes(data), sha256(bytes(data)), _media_type(response, bytes(data)))
        if target.startswith("sha256:") and manifest.digest != target:
            raise self._refused(f"the manifest's digest is {manifest.digest}, not {target}")
        return manifest

    @asynccontextmanager
    async def blob(self, digest: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a blob's bytes as they are stored, in pieces.

        Raises:
            RegistryUnreachableError: No mirror and not the registry itself answered.
            ImageNotPulledError: It answered, but not with that blob.
        """
        async with self._response(f"blobs/{digest}", "*/*") as response:
            yield response.aiter_raw()

    @asynccontextmanager
    async def _response(self, path: str, accept: str) -> AsyncIterator[httpx.Response]:
        failures: list[ApiError] = []
        for base in self._client.bases(self._reference):
            url = f"{base}/v2/{self._reference.repository}/{path}"
            began = False
            try:
                async with self._client.get(url, accept, self._reference, self._credentials) as response:
                    if response.status_code == httpx.codes.OK:
                        began = True
                        yield response
                        return
                    await response.aread()
                    failures.append(self._refused(_refusal(response)))
            except httpx.HTTPError as error:
                failure = self._translated(error, base)
                if began:
                    raise failure from error
                failures.append(failure)
        # A mirror that does not have the image, or is down, says less than the registry itself.
        raise failures[-1]

    def _translated(self, error: httpx.HTTPError, base: str) -> ApiError:
        host = httpx.URL(base).netloc.decode()
        if _caused_by(error, ssl.SSLError):
            return self._refused(f"{host} does not speak TLS as expected: {error}; for plain http, list it as insecure")
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return RegistryUnreachableError(self._reference.registry, str(self._reference), _reason(error, host))
        if isinstance(error, httpx.ReadTimeout | httpx.ReadError | httpx.RemoteProtocolError):
            return self._refused(f"{host} broke off: {str(error) or type(error).__name__}; try again")
        return self._refused(f"{host}: {error}")

    def _refused(self, reason: str) -> ImageNotPulledError:
        return ImageNotPulledError(str(self._reference), reason, self._reference.registry)


def docker_credentials(reference: Reference) -> Credentials | None:
    """Return what the Docker configuration file knows of a registry, if anything."""
    folder = os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    try:
        configuration = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        entries = configuration.get("auths", {})
        names = [_DOCKER_HUB_AUTH, "docker.io"] if reference.registry == "docker.io" else []
        for name in (*names, reference.registry, f"https://{reference.registry}", f"http://{reference.registry}"):
            if (entry := entries.get(name)) is not None:
                return _decoded(entry)
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return None


def _decoded(entry: Mapping[str, str]) -> Credentials | None:
    if entry.get("auth"):
        username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        return Credentials(username, password)
    if entry.get("username"):
        return Credentials(entry["username"], entry.get("password", ""))
    return None


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _media_type(response: httpx.Response, data: bytes) -> str:
    try:
        stated = json.loads(data).get("mediaType")
    except (ValueError, AttributeError):
        stated = None
    return str(stated or response.headers.get("content-type", "").partition(";")[0])


def _refusal(response: httpx.Response) -> str:
    """Say what a registry's answer means to who asked for an image."""
    detail = ""
    try:
        detail = "; ".join(str(error.get("message") or error.get("code")) for error in response.json()["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        detail = response.reason_phrase
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return (
            f"access denied ({detail}); sign in with `docker login` or withRegistryAuth, "
            "and check that the image exists"
        )
    if response.status_code == httpx.codes.NOT_FOUND:
        return f"not found ({detail}); check the name and the tag"
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return f"the registry's rate limit is reached ({detail}); wait, sign in, or configure a mirror"
    return f"the registry answered {response.status_code} ({detail})"


def _reason(error: httpx.HTTPError, host: str) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"{host} did not answer in time"
    if _caused_by(error, socket.gaierror):
        return f"the name {host} cannot be resolved"
    if _caused_by(error, ConnectionRefusedError):
        return f"{host} refused the connection"
    return f"{host}: {error}"


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an error of some kind is behind another."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
