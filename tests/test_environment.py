"""The real parts that other tests stand on are what those tests take them for."""

import hashlib
import json
import tarfile
from pathlib import Path

from tests.environment import oci
from tests.environment.registry import Registry


def test_the_busybox_image_holds_nothing_but_busybox_and_a_root_account(busybox_layout: Path) -> None:
    _, (layer,) = oci.read_manifest(busybox_layout)
    with tarfile.open(oci.blob_path(busybox_layout, layer.digest)) as archive:
        entries = {entry.name: entry for entry in archive}
        passwd = archive.extractfile("etc/passwd")
        assert passwd is not None
        assert passwd.read().decode().splitlines() == ["root:x:0:0:root:/:/bin/sh"]
    assert [name for name in entries if not name.startswith("bin/")] == ["bin", "etc", "tmp", "etc/passwd"]
    assert entries["tmp"].mode == 0o1777
    assert entries["bin/sh"].linkname == "busybox"
    assert {"bin/httpd", "bin/wget", "bin/stat", "bin/seq"} <= entries.keys()


def test_the_busybox_image_sets_path_alone(busybox_layout: Path) -> None:
    config, _ = oci.read_manifest(busybox_layout)
    settings = json.loads(oci.blob_path(busybox_layout, config.digest).read_bytes())["config"]
    assert settings["Env"] == [f"PATH={oci.SYSTEM_PATH}"]


def test_a_pushed_image_comes_back_from_the_registry_with_its_digests(
    registry: Registry, busybox_image: str, busybox_layout: Path
) -> None:
    assert busybox_image == f"{registry.host}/library/busybox:latest"
    with registry.client() as client:
        manifest = client.get("/library/busybox/manifests/latest", headers={"Accept": oci.MANIFEST_TYPE})
        assert f"sha256:{hashlib.sha256(manifest.content).hexdigest()}" == oci.manifest_of(busybox_layout).digest
        for blob in (manifest.json()["config"], *manifest.json()["layers"]):
            content = client.get(f"/library/busybox/blobs/{blob['digest']}").content
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == blob["digest"]
