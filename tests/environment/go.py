"""Go, and the modules that programs of the tests import."""

from pathlib import Path
from typing import Final

from tests.environment import cache
from tests.environment.toolchains import run_toolchain, toolchain_folder

# Modules can be removed again by whoever fetched them; what is compiled does not depend on where the modules lie.
_FLAGS: Final = "-modcacherw -trimpath -buildvcs=false"

# Compiled without optimisation in two thirds of the time.
_BUILD: Final = ("build", "-gcflags=all=-N -l", "-ldflags=-s -w")


def build_program(project: Path, program: Path) -> None:
    """Compiles the module in the folder `project`, whose imports are compiled once for all later test runs."""
    lock = [(project / name).read_bytes() for name in ("go.mod", "go.sum")]
    version = (toolchain_folder("go") / "VERSION").read_bytes()

    def compile_imports(folder: Path) -> None:
        _run(project, folder, "-o", "/dev/null", ".")

    caches = cache.built_once("go", cache.digest_of(version, _FLAGS, *_BUILD, *lock), compile_imports)
    _run(project, caches, "-o", str(program), ".")


def _run(project: Path, caches: Path, *arguments: str) -> None:
    settings = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(caches / "build"),
        "GOFLAGS": _FLAGS,
        "GOMODCACHE": str(caches / "modules"),
        "GOPATH": str(caches / "path"),
        "GOTOOLCHAIN": "local",
    }
    run_toolchain([toolchain_folder("go") / "bin" / "go", *_BUILD, *arguments], project, settings)
