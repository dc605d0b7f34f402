"""The image with Go: busybox, and the toolchain as it comes from its package, which needs no library.

Its folder `/compiled` holds a build cache, for whoever does not want to wait.
"""

from pathlib import Path, PurePosixPath
from typing import Final

from task_manager.workflow_templates import BUILT_IN_TEMPLATES
from tests.environment import cache, go, oci
from tests.environment.busybox_image import busybox_layout
from tests.environment.toolchains import toolchain_folder

COMPILED: Final = "compiled"
RUNNER: Final = BUILT_IN_TEMPLATES / "go-tests/scripts/run_go_tests.go"
_PLACE: Final = "usr/local/go"
_UNUSED: Final = ("src/cmd", "misc", "__init__.py", "__pycache__")


def go_layout() -> Path:
    """Returns a layout of three layers: busybox, Go in `/usr/local/go` as in Docker's official image, `/compiled`."""
    base, compiled = busybox_layout(), go.standard_library_cache(RUNNER)
    recipe = [Path(source).read_text() for source in (__file__, oci.__file__)]

    def build(folder: Path) -> None:
        settings = oci.ImageSettings(
            command=("sh",),
            environment={"PATH": f"/{_PLACE}/bin:{oci.SYSTEM_PATH}", "GOTOOLCHAIN": "local", "GOPATH": "/go"},
        )
        toolchain = oci.tree(toolchain_folder("go"), _PLACE, leave_out=_is_left_out)
        filled = [oci.Layer(fill, oci.Compression.ZSTD) for fill in (toolchain, oci.tree(compiled, COMPILED))]
        oci.write_layout(folder, [oci.layer_of(base, 0), *filled], settings)

    return cache.built_once("go-image", cache.digest_of(base.name, compiled.parent.name, *recipe), build)


def _is_left_out(path: PurePosixPath) -> bool:
    return str(path) in _UNUSED or path.name == "testdata" or path.name.endswith("_test.go")
