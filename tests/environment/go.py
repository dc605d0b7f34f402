"""Go, and the modules that programs of the tests import."""

import os
import re
from pathlib import Path
from typing import Final

from tests.environment import cache
from tests.environment.toolchains import run_toolchain, toolchain_folder

# Modules can be removed again by whoever fetched them; what is compiled does not depend on where the modules lie.
_FLAGS: Final = "-modcacherw -trimpath -buildvcs=false"

# Compiled without optimisation in two thirds of the time.
_BUILD: Final = ("build", "-gcflags=all=-N -l", "-ldflags=-s -w")

_IMPORT: Final = re.compile(r'^\t"([\w/]+)"$', re.MULTILINE)
_SMALL_TEST: Final = """package small

import (
	"os"
	"testing"
)

func TestSmall(t *testing.T) { os.Getenv("SMALL") }
"""


def build_program(project: Path, program: Path) -> None:
    """Compiles the module in the folder `project`, whose imports are compiled once for all later test runs."""
    lock = [(project / name).read_bytes() for name in ("go.mod", "go.sum")]
    version = (toolchain_folder("go") / "VERSION").read_bytes()

    def compile_imports(folder: Path) -> None:
        _run(project, folder, "-o", "/dev/null", ".")

    caches = cache.built_once("go", cache.digest_of(version, _FLAGS, *_BUILD, *lock), compile_imports)
    _run(project, caches, "-o", str(program), ".")


def standard_library_cache(program: Path) -> Path:
    """Returns a build cache in which the tests of a small module, and a program of one file, need nothing compiled.

    Entries do not depend on where Go lies, so that they serve the same version in an image.
    """
    version = (toolchain_folder("go") / "VERSION").read_bytes()

    def compile_all(folder: Path) -> None:
        (folder / "go.mod").write_text("module example.com/small\n")
        (folder / "small_test.go").write_text(_SMALL_TEST)
        settings = {"GOCACHE": str(folder / "build"), "GOTOOLCHAIN": "local"}
        for arguments in (("test", "./..."), ("build", "-o", os.devnull, str(program))):
            run_toolchain([toolchain_folder("go") / "bin" / "go", *arguments], folder, settings)

    key = cache.digest_of(version, _SMALL_TEST, *_IMPORT.findall(program.read_text()))
    return cache.built_once("go-standard", key, compile_all) / "build"


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
