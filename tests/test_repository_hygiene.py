"""What is committed belongs to the project alone: nothing of one machine, nothing of one package registry."""

import ast
import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LOCKS = sorted((PROJECT / "requirements").glob("*.txt"))


def test_no_tracked_file_names_a_path_of_this_machine() -> None:
    assert mentions(paths_of_this_machine()) == []


def test_no_tracked_file_names_the_host_of_a_package_registry() -> None:
    assert mentions(hosts_of_package_registries()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_hashes_and_no_index(lock: Path) -> None:
    entries = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+", entry)] == []
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_module_says_what_it_is_for() -> None:
    modules = sorted((PROJECT / "src").rglob("*.py"))
    assert modules
    assert [module for module in modules if not ast.get_docstring(ast.parse(module.read_text(), str(module)))] == []


def mentions(words: set[str]) -> list[tuple[Path, str]]:
    """Returns each tracked file that holds one of the words, and the word."""
    assert words
    pattern = re.compile("|".join(f"{re.escape(word)}(?![\\w-])" for word in sorted(words)).encode())
    contents = ((path, path.read_bytes()) for path in tracked_files())
    return [(path.relative_to(PROJECT), hit.decode()) for path, content in contents for hit in pattern.findall(content)]


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"not a checkout: {done.stderr.strip()}")
    return [path for name in done.stdout.split("\0") if name and (path := PROJECT / name).is_file()]


def paths_of_this_machine() -> set[str]:
    """Returns the folder around the checkout, or what lies in it where its name is as short as `/srv`; and the home."""
    parent = PROJECT.parent
    beside = {PROJECT} if parent.stat().st_mode & 0o002 else {path for path in parent.iterdir() if path.is_dir()}
    places = {parent} if len(parent.parts) > 2 else beside
    return {str(place) for place in places} | parts_of_home()


def parts_of_home() -> set[str]:
    """Returns what lies in the home folder: `/root` alone, and the cache in it, are names in every container too."""
    home = Path.home()
    return set() if home == Path("/") else {str(path) for path in home.iterdir() if path.name != ".cache"}


def hosts_of_package_registries() -> set[str]:
    """Returns the hosts that this machine's package managers have built in or are configured to use."""
    indexes = importlib.import_module("pip._internal.models.index")
    hosts = {host for index in (indexes.PyPI, indexes.TestPyPI) for host in (index.netloc, index.file_storage_domain)}
    if shutil.which("apt-get"):
        sites = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(SITE)"], check=True, capture_output=True, text=True
        )
        hosts |= {match[1] for match in re.finditer(r"://([^/\s]+)", sites.stdout)}
    return hosts
