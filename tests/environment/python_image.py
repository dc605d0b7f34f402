"""The Python image that the built-in templates run in: Debian's Python and, from the lock, what the demo extra holds.

Packages are unpacked, not configured: that needs neither root nor a namespace and takes seconds.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Final

from tests.environment import cache, oci
from tests.environment.packages import require

SUITE: Final = "bookworm"
PYTHON: Final = "3.11"
"""The version of Python in that release of Debian."""

LOCAL: Final = "usr/local"
SITE: Final = f"{LOCAL}/lib/python{PYTHON}/dist-packages"
SETTINGS: Final = oci.ImageSettings(command=("python3",), working_directory="/")

PROJECT: Final = Path(__file__).parents[2]
LOCK: Final = PROJECT / "requirements" / "dev.txt"
_DEBIAN_PACKAGES: Final = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils"),
    *("grep", "gzip", "hostname", "libstdc++6", "mawk", "python3", "sed", "tar"),
)
_MERGE_USR: Final = 'for name in bin lib lib64 sbin; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1/$name"; done'
_UNUSED: Final = (
    *("dev/*", "etc/apt", "etc/hostname", "etc/resolv.conf", "var/cache/*", "var/lib/apt", "var/lib/dpkg", "var/log/*"),
    *("usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man"),
    *(f"usr/lib/python{PYTHON}/{part}" for part in ("lib2to3", "pydoc_data", "unittest/test")),
    *(
        f"{SITE}/{library}/**/tests"
        for library in ("joblib", "matplotlib", "mpl_toolkits", "numpy", "scipy", "sklearn")
    ),
)


def python_layout() -> Path:
    """Returns a layout of two layers: Debian's Python (gzip) and the libraries in `/usr/local` (zstd)."""
    require("mmdebstrap")
    recipe = [Path(source).read_text() for source in (__file__, oci.__file__, LOCK, PROJECT / "pyproject.toml")]
    return cache.built_once("python", cache.digest_of(oci.architecture(), *recipe), _build)


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch) / "root"
        _unpack_debian(root)
        _install_libraries(root)
        _remove_unused(root)
        _compile(root)
        oci.write_layout(
            folder,
            [
                oci.Layer(oci.tree(root, leave_out=lambda path: path.is_relative_to(LOCAL))),
                oci.Layer(oci.tree(root / LOCAL, LOCAL), oci.Compression.ZSTD),
            ],
            SETTINGS,
        )


def _unpack_debian(root: Path) -> None:
    _run(
        "mmdebstrap",
        *("--quiet", "--mode=chrootless", "--variant=extract", "--format=directory", "--skip=output/dev"),
        *(f"--setup-hook={_MERGE_USR}", f"--include={','.join(_DEBIAN_PACKAGES)}"),
        *(f"--aptopt={line}" for line in _transport_options()),
        *(SUITE, str(root), *_mirrors()),
    )
    for table in ("passwd", "group"):
        shutil.copyfile(root / "usr/share/base-passwd" / f"{table}.master", root / "etc" / table)
    (root / "usr/bin/python").symlink_to("python3")
    (root / "usr/bin/awk").symlink_to("mawk")


def _mirrors() -> list[str]:
    """Returns source lines for the mirrors of Debian that this machine's apt uses; none stands for mmdebstrap's own."""
    if shutil.which("apt-get") is None:
        return []
    form = "$(ORIGIN) $(REPO_URI) $(CODENAME)"
    targets = {tuple(line.split()) for line in _run("apt-get", "indextargets", "--format", form).splitlines()}
    debian = [target[1:] for target in sorted(targets) if len(target) == 3 and target[0] == "Debian"]
    return [f"deb {uri} {re.sub(r'^[a-z]+', SUITE, codename)} main" for uri, codename in debian]


def _transport_options() -> list[str]:
    """Returns how this machine's apt reaches its mirrors: proxies, certificates, clocks that stand still."""
    if shutil.which("apt-config") is None:
        return []
    settings = _run("apt-config", "dump", "--no-empty", "Acquire").splitlines()
    return [line for line in settings if re.match(r"Acquire::(https?|Check-Valid-Until|Check-Date)\b", line)]


def _install_libraries(root: Path) -> None:
    """Installs what the demo extra names, and what that depends on, in the locked versions, hashes checked."""
    site = root / SITE
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=root.parent) as wanted:
        wanted.writelines(_locked_requirements())
        wanted.flush()
        _run(
            *(_uv(), "pip", "install", "--quiet", "--target", str(site), "--python-version", PYTHON),
            *("--require-hashes", "-r", wanted.name, "-c", str(LOCK)),
        )
    programs = root / "usr/local/bin"
    programs.mkdir(exist_ok=True)
    for program in (site / "bin").iterdir():
        if not program.read_bytes().startswith(b"#!"):
            shutil.copy2(program, programs)
    shutil.rmtree(site / "bin")
    for distribution in distributions(path=[str(site)]):
        _write_scripts(programs, distribution.entry_points.select(group="console_scripts"))


def _write_scripts(folder: Path, entries: Iterable[EntryPoint]) -> None:
    for entry in entries:
        script = folder / entry.name
        call = f"import sys\nfrom {entry.module} import {entry.attr.partition('.')[0]}\nsys.exit({entry.attr}())\n"
        script.write_text(f"#!/usr/bin/python3\n{call}")
        script.chmod(0o755)


def _locked_requirements() -> list[str]:
    """Returns the entries of the lock file, hashes included, of the demo extra and of the parser of test reports."""
    extra = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["demo"]
    names = {_name(requirement) for requirement in extra} | {"junitparser"}
    return [entry for entry in re.split(r"^(?=\S)", LOCK.read_text(), flags=re.MULTILINE) if _name(entry) in names]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))


def _remove_unused(root: Path) -> None:
    for pattern in _UNUSED:
        for path in list(root.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _compile(root: Path) -> None:
    """Compiles all modules where the running Python is of the image's version; else containers start slower."""
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        return
    folders = (str(root / f"usr/lib/python{PYTHON}"), str(root / SITE))
    compiler = (sys.executable, "-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash")
    # Some packages carry modules of another version's syntax; they are left as they are.
    subprocess.run([*compiler, "-s", str(root), "-p", "/", *folders], check=False, capture_output=True)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-4000:]}")
    return done.stdout
