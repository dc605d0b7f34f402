"""The real parts that other tests stand on are what those tests take them for."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.environment import cache, oci, packages, ports
from tests.environment.python_image import LOCK, PROJECT, PYTHON
from tests.environment.registry import ACCOUNT, Registry, running_registry


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


def test_the_python_image_is_served_in_two_layers_of_different_compression(
    registry: Registry, python_image: str, python_layout: Path
) -> None:
    assert python_image == f"{registry.host}/library/python:3"
    _, layers = oci.read_manifest(python_layout)
    assert [layer.media_type.partition("+")[2] for layer in layers] == ["gzip", "zstd"]
    with registry.client() as client:
        for layer in layers:
            stored = client.head(f"/library/python/blobs/{layer.digest}")
            assert int(stored.headers["Content-Length"]) == layer.size


def test_the_python_image_starts_its_programs_and_loads_its_libraries(python_layout: Path, tmp_path: Path) -> None:
    unpack(python_layout, tmp_path)
    libraries = "matplotlib.pyplot, numpy.testing, sklearn.neural_network, sklearn.ensemble, sqlite3, ssl"
    assert inside(tmp_path, "python", "-c", f"import {libraries}; print('loaded')") == "loaded\n"
    assert inside(tmp_path, "python", "--version").startswith(f"Python {PYTHON}.")
    for program in ("pytest", "ruff", "pyproject-build"):
        locked = version_in_lock("build" if program == "pyproject-build" else program)
        assert locked in inside(tmp_path, program, "--version")


def test_a_registry_with_an_account_lets_nobody_else_in(busybox_layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path, account=ACCOUNT) as guarded:
        image = guarded.push(busybox_layout, "busybox", "1")
        assert image == f"{guarded.host}/busybox:1"
        manifest = f"http://{guarded.host}/v2/busybox/manifests/1"
        assert httpx.get(manifest).status_code == 401
        assert httpx.get(manifest, auth=(ACCOUNT.name, "wrong")).status_code == 401
        with guarded.client() as client:
            assert client.get("/busybox/manifests/1", headers={"Accept": oci.MANIFEST_TYPE}).is_success


def test_registries_run_beside_each_other_and_are_gone_afterwards(registry: Registry, tmp_path: Path) -> None:
    with running_registry(tmp_path) as other:
        assert other.host != registry.host
        assert httpx.get(f"http://{other.host}/v2/").is_success
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{other.host}/v2/")
    assert not Path(f"/proc/{other.process}").exists()


def test_the_refused_registry_refuses(refused_registry: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{refused_registry}/v2/", timeout=30)


def test_the_black_holed_registry_never_answers(black_holed_registry: str) -> None:
    with pytest.raises(httpx.ConnectTimeout):
        httpx.get(f"http://{black_holed_registry}/v2/", timeout=0.5)


def test_the_small_disk_is_empty_and_soon_full(small_disk: Path) -> None:
    assert list(small_disk.iterdir()) == []
    with pytest.raises(OSError, match="No space left on device"):
        (small_disk / "large").write_bytes(bytes(5 << 20))


def test_what_is_built_once_is_built_by_one_of_many_and_found_by_the_others(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        (folder / "whole").touch()

    def ask(_: int) -> Path:
        return cache.built_once("thing", "key", build, folder=tmp_path)

    with ThreadPoolExecutor(8) as askers:
        found = set(askers.map(ask, range(8)))
    assert found == {tmp_path / "thing-key"}
    assert (tmp_path / "thing-key" / "whole").exists()
    assert len(builds) == 1


def test_a_build_that_fails_leaves_nothing_to_be_taken_for_whole(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.built_once("thing", "key", fail, folder=tmp_path)
    assert list(cache.built_once("thing", "key", lambda _: None, folder=tmp_path).iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing-key", "thing.lock"]


@pytest.mark.parametrize(
    ("ci", "workers", "outcome"),
    [
        ("true", [], ["2 skipped", "1 xfailed", "2 errors", "1 failed"]),
        ("true", ["-n", "2"], ["2 skipped", "1 xfailed", "2 errors", "1 failed"]),
        ("", [], ["5 skipped", "1 xfailed"]),
    ],
)
def test_only_tests_of_a_real_engine_may_skip_in_continuous_integration(
    ci: str, workers: list[str], outcome: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real_engine")
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.skip('nothing here', allow_module_level=True)\n")
    (tmp_path / "test_parts.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-p", "tests.environment.skips", "--continue-on-collection-errors"]
    done = subprocess.run(
        [*command, *workers],
        cwd=tmp_path,
        env={"PATH": oci.SYSTEM_PATH, "PYTHONPATH": str(PROJECT), "CI": ci},
        check=False,
        capture_output=True,
        text=True,
    )
    summary = done.stdout.splitlines()[-1]
    assert all(part in summary for part in outcome), done.stdout
    assert (done.returncode == 0) == (ci != "true")
    if ci:
        assert {"no such program", "not today"} <= set(re.findall(r"but this was. Skipped: (.*)", done.stdout))


def test_a_claimed_port_is_nobody_elses_though_nothing_listens_on_it_yet() -> None:
    port = ports.claimed_port()
    asked = [sys.executable, "-c", f"from tests.environment import ports; print(ports.try_claim({port}))"]
    done = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), ports.claimed_port() != port) == ("False", True)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_test_without_its_program_skips_and_names_the_package() -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-program not found: install the package imaginary"):
        packages.require_programs(packages.Package("imaginary", ("no-such-program", "sh"), "to be missed"))


SKIPPING = """
import pytest

@pytest.mark.real_engine
@pytest.mark.skipif(True, reason="no engine")
def test_with_an_engine(): ...

@pytest.mark.real_engine
def test_that_finds_no_engine(): pytest.skip("no engine either")

@pytest.mark.xfail
def test_expected_to_fail(): assert False

@pytest.fixture
def program(): pytest.skip("no such program")

def test_with_a_program(program): ...

def test_that_gives_up(): pytest.skip("not today")
"""


def unpack(layout: Path, folder: Path) -> None:
    _, layers = oci.read_manifest(layout)
    for layer in layers:
        extract = ["tar", "--extract", "--keep-directory-symlink", "--directory", str(folder)]
        with (
            oci.unpacking(layer, oci.blob_path(layout, layer.digest)) as content,
            subprocess.Popen(extract, stdin=subprocess.PIPE) as tar,
        ):
            assert tar.stdin
            shutil.copyfileobj(content, tar.stdin)
            tar.stdin.close()
        assert tar.returncode == 0


def inside(root: Path, *command: str) -> str:
    enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot"]
    search = {"PATH": oci.SYSTEM_PATH}
    return subprocess.run([*enter, root, *command], env=search, check=True, capture_output=True, text=True).stdout


def version_in_lock(name: str) -> str:
    (line,) = (line for line in LOCK.read_text().splitlines() if line.startswith(f"{name}=="))
    return line.removeprefix(f"{name}==").split()[0]
