"""Images from registries and layouts: pulled whole and verified, or refused with nothing left behind."""

import base64
import hashlib
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagger
import pytest
from dagger.client._session import ConnectParams, SingleConnection

from tests.embedded_engine.engine import EngineProcess
from tests.environment import oci
from tests.environment.registry import ACCOUNT, Registry, running_registry

REACHED_WITHIN_SECONDS = 10


def write_image(folder: Path, *layers: Callable[[tarfile.TarFile], None], zstd: bool = False) -> Path:
    """Writes a layout of some layers."""
    folder.mkdir()
    compression = oci.Compression.ZSTD if zstd else oci.Compression.GZIP
    oci.write_layout(folder, [oci.Layer(fill, compression) for fill in layers], oci.ImageSettings())
    return folder


def files(**contents: str) -> Callable[[tarfile.TarFile], None]:
    """Returns what fills a layer with files."""

    def fill(layer: tarfile.TarFile) -> None:
        for path, content in contents.items():
            oci.add_file(layer, path.replace("__", "/"), content.encode())

    return fill


def entry(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "") -> Callable[[tarfile.TarFile], None]:
    """Returns what adds one entry to a layer."""

    def fill(layer: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        layer.addfile(member)

    return fill


def from_layout(dag: dagger.Client, folder: Path) -> dagger.Directory:
    """Returns the root of the image in a layout."""
    return dag.container().from_(f"oci-layout://{folder}").rootfs()


@contextmanager
def engine_with(folder: Path, **settings: object) -> Iterator[EngineProcess]:
    """Runs a session with some settings."""
    (folder / "engine.json").write_text(json.dumps(settings))
    with EngineProcess(folder / "state", "--config", str(folder / "engine.json")) as running:
        yield running


def pulled(engine: EngineProcess, image: str) -> dict[str, Any]:
    """Returns the answer to a question that needs an image's files."""
    return engine.post(f'{{container {{from(address: "{image}") {{rootfs {{entries}}}}}}}}')


def error_of(answer: dict[str, Any]) -> tuple[str, dict[str, object]]:
    """Returns an answer's error message and extensions."""
    (error,) = answer["errors"]
    return error["message"], error.get("extensions", {})


def stored_results(state: Path) -> list[str]:
    """Returns the keys of all results in a store."""
    return [path.name for path in (state / "entries").glob("*/*")]


@pytest.mark.parametrize("zstd", [False, True])
async def test_layers_come_in_gzip_and_zstd(dag: dagger.Client, tmp_path: Path, zstd: bool) -> None:
    layout = write_image(tmp_path / "i", files(a="1"), files(b="2"), zstd=zstd)
    assert await from_layout(dag, layout).entries() == ["a", "b"]


async def test_whiteouts_remove_what_is_below(dag: dagger.Client, tmp_path: Path) -> None:
    layout = write_image(
        tmp_path / "i",
        files(gone="1", kept="1", d__gone="1", e__f="1"),
        files(**{".wh.gone": "", "d__.wh.gone": "", "e__.wh..wh..opq": "", "e__new": "1"}),
    )
    assert await from_layout(dag, layout).glob("**") == ["d/", "e/", "e/new", "kept"]


async def test_a_folder_that_a_layer_only_passes_through_keeps_its_mode(dag: dagger.Client, tmp_path: Path) -> None:
    def first(layer: tarfile.TarFile) -> None:
        oci.add_directory(layer, "private", 0o700)

    layout = write_image(tmp_path / "i", first, files(private__f="1"))
    assert await from_layout(dag, layout).stat("private").permissions() == 0o700


async def test_hard_links_share_their_content(dag: dagger.Client, tmp_path: Path) -> None:
    layout = write_image(tmp_path / "i", files(a="same"), entry("b", kind=tarfile.LNKTYPE, target="a"))
    assert await from_layout(dag, layout).file("b").contents() == "same"


@pytest.mark.parametrize(
    "hostile",
    [
        entry("../escaped"),
        entry("/../../escaped"),
        entry("a/../../escaped"),
        entry("link", kind=tarfile.LNKTYPE, target="../../../etc/passwd"),
    ],
)
async def test_an_archive_that_leads_out_of_its_root_is_refused(
    dag: dagger.Client, tmp_path: Path, hostile: Callable[[tarfile.TarFile], None]
) -> None:
    layout = write_image(tmp_path / "i", hostile)
    with pytest.raises(dagger.QueryError, match="leads out of it"):
        await from_layout(dag, layout).entries()


async def test_links_in_an_archive_stay_inside_its_root(dag: dagger.Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def fill(layer: tarfile.TarFile) -> None:
        oci.add_link(layer, "out", str(outside))
        oci.add_file(layer, "out/planted", b"x")

    layout = write_image(tmp_path / "i", fill)
    with pytest.raises(dagger.QueryError):
        await from_layout(dag, layout).entries()
    assert list(outside.iterdir()) == []


async def test_devices_are_left_out(dag: dagger.Client, tmp_path: Path) -> None:
    layout = write_image(tmp_path / "i", entry("null", kind=tarfile.CHRTYPE), files(f="1"))
    assert await from_layout(dag, layout).entries() == ["f"]


async def test_a_layout_is_chosen_from_by_tag(dag: dagger.Client, tmp_path: Path) -> None:
    layout = write_image(tmp_path / "i", files(f="1"))
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "one"}
    (layout / "index.json").write_text(json.dumps(index))
    assert await dag.container().from_(f"oci-layout://{layout}:one").rootfs().entries() == ["f"]
    with pytest.raises(dagger.QueryError, match="no image with the tag two"):
        await dag.container().from_(f"oci-layout://{layout}:two").rootfs().entries()


async def test_a_folder_that_is_no_layout_is_refused(dag: dagger.Client, tmp_path: Path) -> None:
    with pytest.raises(dagger.QueryError, match="it is no OCI layout"):
        await from_layout(dag, tmp_path).entries()


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_layer_is_refused_and_nothing_of_it_kept(tmp_path: Path, damage: str) -> None:
    layout = write_image(tmp_path / "i", files(f="1" * 5000))
    _, (layer,) = oci.read_manifest(layout)
    blob = oci.blob_path(layout, layer.digest)
    data = blob.read_bytes()
    if damage == "missing":
        blob.unlink()
    else:
        blob.write_bytes(data[:-20] if damage == "truncated" else data[:-9] + b"x" + data[-8:])
    with EngineProcess(tmp_path / "state") as engine:
        _, extensions = error_of(pulled(engine, f"oci-layout://{layout}"))
        assert extensions["_type"] == "IMAGE_NOT_PULLED"
        assert stored_results(tmp_path / "state") == []


def test_a_layer_that_unpacks_to_something_else_is_refused(tmp_path: Path) -> None:
    layout = write_image(tmp_path / "i", files(f="1"))
    manifest = json.loads(oci.blob_path(layout, oci.manifest_of(layout).digest).read_bytes())
    other = write_image(tmp_path / "other", files(f="2"))
    _, (layer,) = oci.read_manifest(other)
    shutil.copy(oci.blob_path(other, layer.digest), oci.blob_path(layout, layer.digest))
    manifest["layers"] = [layer.as_json()]
    text = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    oci.blob_path(layout, digest).write_bytes(text)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = digest
    (layout / "index.json").write_text(json.dumps(index))
    with EngineProcess(tmp_path / "state") as engine:
        message, _ = error_of(pulled(engine, f"oci-layout://{layout}"))
        assert "unpacks to" in message
        assert stored_results(tmp_path / "state") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schemaVersion": 2, "layers": 1}'])
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str) -> None:
    layout = write_image(tmp_path / "i", files(f="1"))
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    oci.blob_path(layout, digest).write_text(text)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = digest
    (layout / "index.json").write_text(json.dumps(index))
    with EngineProcess(tmp_path / "state") as engine:
        message, extensions = error_of(pulled(engine, f"oci-layout://{layout}"))
        assert extensions["_type"] == "IMAGE_NOT_PULLED"
        assert "broken" in message


def test_an_index_is_chosen_from_by_platform(tmp_path: Path, engine: EngineProcess) -> None:
    layout = write_image(tmp_path / "i", files(f="1"))
    own = oci.manifest_of(layout).as_json()
    text = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": oci.INDEX_TYPE,
            "manifests": [
                {**own, "digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "other"}},
                {**own, "platform": {"os": "linux", "architecture": oci.architecture()}},
            ],
        }
    ).encode()
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    oci.blob_path(layout, digest).write_bytes(text)
    listed = {"mediaType": oci.INDEX_TYPE, "digest": digest, "size": len(text)}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    assert "errors" not in pulled(engine, f"oci-layout://{layout}")
    query = f'{{container(platform: "linux/absent") {{from(address: "oci-layout://{layout}") {{id}}}}}}'
    message, _ = error_of(engine.post(query))
    assert "no image for linux/absent, only for linux/other" in message


def test_a_registry_that_refuses_connections_is_told_from_a_missing_image(
    engine: EngineProcess, refused_registry: str, registry: Registry
) -> None:
    message, extensions = error_of(pulled(engine, f"{refused_registry}/a/b:c"))
    assert extensions == {
        "_type": "REGISTRY_UNREACHABLE",
        "registry": refused_registry,
        "image": f"{refused_registry}/a/b:c",
    }
    assert "refused the connection" in message
    _, extensions = error_of(pulled(engine, f"{registry.host}/absent:tag"))
    assert extensions == {
        "_type": "IMAGE_NOT_PULLED",
        "registry": registry.host,
        "image": f"{registry.host}/absent:tag",
    }


def test_a_silent_registry_counts_as_unreachable_after_the_connect_time_out(
    tmp_path: Path, black_holed_registry: str
) -> None:
    with engine_with(tmp_path, connect_timeout=1) as engine:
        begun = time.monotonic()
        message, extensions = error_of(pulled(engine, f"{black_holed_registry}/a/b"))
        assert time.monotonic() - begun < 1 + REACHED_WITHIN_SECONDS
        assert extensions["_type"] == "REGISTRY_UNREACHABLE"
        assert "did not answer in time" in message


def test_an_unknown_host_counts_as_unreachable(engine: EngineProcess) -> None:
    message, extensions = error_of(pulled(engine, "registry.invalid/a/b"))
    assert extensions["_type"] == "REGISTRY_UNREACHABLE"
    assert "registry.invalid cannot be resolved" in message


def test_a_mirror_is_asked_first_and_the_registry_where_it_fails(
    tmp_path: Path, registry: Registry, busybox_layout: Path, refused_registry: str
) -> None:
    registry.push(busybox_layout, "library/busybox", "mirrored")
    mirrors = {"docker.io": [f"http://{refused_registry}", f"http://{registry.host}"]}
    with engine_with(tmp_path, mirrors=mirrors) as engine:
        answer = pulled(engine, "busybox:mirrored")
        assert answer["data"] == {"container": {"from": {"rootfs": {"entries": ["bin/", "etc/", "tmp/"]}}}}


def test_a_registry_is_signed_in_to_by_the_docker_configuration(tmp_path: Path, busybox_layout: Path) -> None:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry", account=ACCOUNT) as registry:
        image = registry.push(busybox_layout, "private", "1")
        pair = base64.b64encode(f"{ACCOUNT.name}:{ACCOUNT.password}".encode()).decode()
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
        with EngineProcess(tmp_path / "a", environment={"DOCKER_CONFIG": str(tmp_path / "docker")}) as engine:
            assert "errors" not in pulled(engine, image)
        with EngineProcess(tmp_path / "b", environment={"DOCKER_CONFIG": str(tmp_path)}) as engine:
            message, extensions = error_of(pulled(engine, image))
            assert (extensions["_type"], "access denied" in message) == ("IMAGE_NOT_PULLED", True)


async def test_a_container_may_carry_its_registrys_password(
    tmp_path: Path, dag: dagger.Client, busybox_layout: Path
) -> None:
    with running_registry(tmp_path, account=ACCOUNT) as registry:
        image = registry.push(busybox_layout, "private", "2")
        secret = dag.set_secret("password", ACCOUNT.password)
        signed_in = dag.container().with_registry_auth(registry.host, ACCOUNT.name, secret)
        assert await signed_in.from_(image).rootfs().entries() == ["bin/", "etc/", "tmp/"]
        with pytest.raises(dagger.QueryError, match="access denied"):
            await signed_in.without_registry_auth(registry.host).from_(f"{registry.host}/private:other").sync()


async def test_pulled_layers_outlive_session_and_registry(tmp_path: Path, busybox_layout: Path) -> None:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry:
        image = registry.push(busybox_layout, "kept", "1")
        with EngineProcess(tmp_path / "state") as engine:
            assert "errors" not in pulled(engine, image)
        kept = stored_results(tmp_path / "state")
        with EngineProcess(tmp_path / "state") as engine:
            params = ConnectParams(port=engine.port, session_token=engine.token)
            async with SingleConnection(params) as connection:
                client = dagger.Client.from_connection(connection)
                assert await client.container().from_(image).with_exec(["echo", "hi"]).stdout() == "hi\n"
        assert set(kept) <= set(stored_results(tmp_path / "state"))
