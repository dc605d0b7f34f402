"""As root, the engine's tests run once more as an ordinary user, with and without subordinate ids.

Those tests, that is, in which it matters.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.embedded_engine.unprivileged import closed_ancestor, run_unprivileged
from tests.environment.packages import require

LIMIT_SECONDS = 600
# What depends on who runs the engine: sandboxes, file systems, ids, networks, limits, what processes leave behind.
# Reading settings, answering queries and talking with registries do not.
WITH_SEVERAL_IDS = (
    *("test_reference", "test_sandbox", "test_contract", "test_containers", "test_directories", "test_toolchain"),
    *("test_overlays", "test_squashing", "test_seccomp", "test_uplinks"),
    *("test_cancelling", "test_chaos"),
    *(
        f"test_images::{name}"
        for name in (
            "test_layers_come_in_gzip_and_zstd",
            "test_whiteouts_remove_what_is_below",
            "test_a_folder_that_a_layer_only_passes_through_keeps_its_mode",
            "test_hard_links_share_their_content",
            "test_an_archive_that_leads_out_of_its_root_is_refused",
            "test_links_in_an_archive_stay_inside_its_root",
            "test_devices_are_left_out",
            "test_a_damaged_layer_is_refused_and_nothing_of_it_kept",
        )
    ),
    "test_limits::test_a_command_cannot_have_more_processes_than_the_setting_says",
    "test_limits::test_a_process_cannot_have_more_memory_than_the_setting_says",
    "test_network::test_without_a_program_to_connect_it_a_command_has_its_loopback_alone",
    "test_network::test_the_setting_gives_the_hosts_network_or_none",
    "test_store::test_results_outlive_the_session",
    "test_store::test_an_image_that_does_not_fit_is_a_clear_error_and_leaves_nothing",
    "test_store::test_a_command_that_fills_the_disk_sees_that_itself",
    "test_cache::test_a_real_store_is_sound_shown_pruned_and_used_again",
    "test_session::test_an_sdk_program_starts_the_session_itself",
    "test_session::test_a_state_folder_that_cannot_be_used_is_one_clear_message",
)
# What depends on how many ids there are, of that.
WITH_ONE_ID = (
    *("test_reference", "test_sandbox", "test_images::test_layers_come_in_gzip_and_zstd"),
    "test_cancelling::test_a_session_that_ends_takes_its_commands_along",
    "test_cancelling::test_a_service_hears_that_it_shall_end_however_young_it_is",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user can enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="engine-unprivileged-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def pytest_command(chosen: Sequence[str], *options: str) -> list[str]:
    """Returns the command that runs some of the engine's tests, named by their modules or `MODULE::TEST`."""
    places = (name.partition("::") for name in chosen)
    tests = [f"tests/embedded_engine/{module}.py{separator}{test}" for module, separator, test in places]
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *options, *tests]


@pytest.mark.timeout(LIMIT_SECONDS)
def test_what_depends_on_privilege_holds_for_an_ordinary_user_with_subordinate_ids(folder: Path) -> None:
    require("uidmap")
    command = pytest_command(WITH_SEVERAL_IDS)
    rounds = {"CHAOS_ROUNDS": "1"}
    done = run_unprivileged(folder, command, ids="subordinate", timeout=LIMIT_SECONDS, environment=rounds)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(LIMIT_SECONDS)
def test_what_depends_on_ids_holds_for_an_ordinary_user_with_a_single_id(folder: Path) -> None:
    command = pytest_command(WITH_ONE_ID, "-k", "not deep_chains")
    done = run_unprivileged(folder, command, ids="single", timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_user_of_these_runs_is_really_without_privilege(folder: Path) -> None:
    done = run_unprivileged(folder, ["cat", "/proc/self/status"], ids="single", timeout=60)
    facts = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (facts["Uid"].split(), int(facts["CapEff"], 16), int(facts["CapPrm"], 16)) == (["65534"] * 4, 0, 0)


def test_a_closed_folder_above_is_found(tmp_path: Path) -> None:
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    found = closed_ancestor(tmp_path / "closed/inner")
    assert found is not None
    shutil.rmtree(tmp_path / "closed")
