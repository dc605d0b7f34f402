"""The real parts that other tests stand on are what those tests take them for."""

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

from tests.environment import oci, python_image
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


def test_the_python_image_starts_its_programs_and_loads_its_libraries(python_layout: Path, tmp_path: Path) -> None:
    unpack(python_layout, tmp_path)
    libraries = "matplotlib.pyplot, numpy.testing, sklearn.neural_network, sklearn.ensemble, sqlite3, ssl"
    assert inside(tmp_path, "python", "-c", f"import {libraries}; print('loaded')") == "loaded\n"
    assert inside(tmp_path, "python", "--version").startswith(f"Python {python_image.PYTHON}.")
    for program in ("pytest", "ruff", "pyproject-build"):
        locked = version_in_lock("build" if program == "pyproject-build" else program)
        assert locked in inside(tmp_path, program, "--version")


def unpack(layout: Path, folder: Path) -> None:
    _, layers = oci.read_manifest(layout)
    for layer in layers:
        with (
            oci.unpacking(layer, oci.blob_path(layout, layer.digest)) as content,
            tarfile.open(mode="r|", fileobj=content) as archive,
        ):
            archive.extractall(folder, filter="tar")


def inside(root: Path, *command: str) -> str:
    enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot"]
    search = {"PATH": oci.SYSTEM_PATH}
    return subprocess.run([*enter, root, *command], env=search, check=True, capture_output=True, text=True).stdout


def version_in_lock(name: str) -> str:
    (line,) = (line for line in python_image.LOCK.read_text().splitlines() if line.startswith(f"{name}=="))
    return line.removeprefix(f"{name}==").split()[0]
