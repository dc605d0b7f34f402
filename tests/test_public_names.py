"""What the package offers by name, and that offering it loads nothing."""

import subprocess
import sys

import pytest

import task_manager


@pytest.mark.parametrize("name", task_manager.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(task_manager, name).__name__ == name
    assert name in dir(task_manager)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = task_manager.Nothing


def test_importing_the_package_loads_only_the_standard_library() -> None:
    program = "import sys; before = set(sys.modules); import task_manager; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"task_manager"}
