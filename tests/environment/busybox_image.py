"""The container images that tests run, built from the packages of this machine's distribution."""

import functools
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.environment import cache, oci
from tests.environment.packages import require


def busybox_layout() -> Path:
    """Returns a layout with busybox alone: applets as links in `/bin`, `/etc/passwd` with root only, an empty `/tmp`.

    There is no `/run`, and PATH is the only variable.
    """
    require("busybox-static")
    program = Path(shutil.which("busybox") or "").read_bytes()
    return cache.built_once("busybox", cache.digest_of(program, _own_recipe()), _build_busybox)


def _build_busybox(folder: Path) -> None:
    program = Path(shutil.which("busybox") or "")
    listing = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    fill = functools.partial(_fill_busybox, program=program.read_bytes(), applets=sorted(listing.stdout.split()))
    oci.write_layout(folder, [oci.Layer(fill)], oci.ImageSettings(command=["sh"]))


def _fill_busybox(layer: tarfile.TarFile, *, program: bytes, applets: list[str]) -> None:
    for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
        oci.add_directory(layer, folder, mode)
    oci.add_file(layer, "bin/busybox", program, 0o755)
    for applet in applets:
        if applet != "busybox":
            oci.add_link(layer, f"bin/{applet}", "busybox")
    oci.add_file(layer, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")


def _own_recipe() -> str:
    return Path(__file__).read_text() + Path(oci.__file__).read_text()
