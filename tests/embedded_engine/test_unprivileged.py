"""As root, the engine's tests run once more as an ordinary user, with and without subordinate ids.

Those tests, that is, in which it matters; `make unprivileged` runs all that use a session.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.embedded_engine.unprivileged import closed_ancestor, run_unprivileged
from tests.environment.packages import require

LIMIT_SECONDS = 600
WHOLE = bool(os.environ.get("UNPRIVILEGED_WHOLE"))


def of(module: str, *tests: str) -> tuple[str, ...]:
    """Some tests of a module, as pytest names them."""
    return tuple(f"{module}::test_{test}" for test in tests)


# What the kernel allows, or does in another way, depending on who asks: namespaces and mounts, owners and devices,
# filters of calls, limits, uplinks, and what processes and files of other ids leave behind.
WITH_SEVERAL_IDS = (
    *("test_sandbox", "test_overlays", "test_squashing"),
    *of(
        "test_contract",
        "a_user_is_a_number_or_a_name_of_the_image",
        "files_have_mode_owner_size_and_name",
        "copies_take_owner_and_mode",
        "owners_by_name_are_those_of_the_container",
        "what_a_command_writes_and_removes_is_found_afterwards",
        "a_cache_volume_begins_with_its_sources_mode",
        "a_mounted_directory_is_written_without_its_source_and_the_root",
        "a_service_is_reached_by_the_name_it_is_bound_to",
        "directories_and_files_are_exported",
    ),
    *of(
        "test_containers",
        "a_user_is_found_by_name_with_home_and_groups",
        "mount_points_leave_nothing_behind",
        "a_read_only_mount_cannot_be_written",
        "a_temporary_mount_has_the_size_that_is_asked_for",
        "a_secret_file_has_owner_and_mode",
        "two_services_may_listen_on_the_same_port",
    ),
    *of(
        "test_directories",
        "modes_are_kept_and_set",
        "timestamps_are_set_everywhere",
        "a_host_folder_comes_without_its_owners_and_with_its_modes",
        "what_a_host_folder_has_no_meaning_for_is_left_out",
        "export_replaces_files_whole_and_keeps_others",
        "export_to_where_nothing_can_be_written_is_an_error",
    ),
    *of(
        "test_toolchain",
        "the_systems_programs_run",
        "nothing_of_the_host_can_be_written",
        "nothing_else_of_the_host_is_there",
        "what_commands_write_is_kept_for_the_next",
    ),
    *of(
        "test_seccomp",
        "every_call_of_the_table_is_refused",
        "no_new_namespace_can_be_made",
        "a_program_that_makes_a_namespace_is_told_so",
        "a_filter_is_on_whoever_runs_the_command",
        "threads_processes_and_tracing_work",
    ),
    *of(
        "test_uplinks",
        "a_command_reaches_other_machines_but_not_the_hosts_loopback",
        "no_process_and_no_network_outlives_the_session[pasta-kill]",
        "no_process_and_no_network_outlives_the_session[slirp4netns-kill]",
    ),
    *of(
        "test_cancelling",
        "a_dropped_request_stops_its_command",
        "a_session_that_ends_takes_its_commands_along[killed]",
        "what_a_killed_session_left_is_swept_by_the_next",
        "a_service_hears_that_it_shall_end_however_young_it_is",
    ),
    *of(
        "test_images",
        "layers_come_in_gzip_and_zstd",
        "whiteouts_remove_what_is_below",
        "a_folder_that_a_layer_only_passes_through_keeps_its_mode",
        "hard_links_share_their_content",
        "devices_are_left_out",
    ),
    *of(
        "test_limits",
        "a_command_cannot_have_more_processes_than_the_setting_says",
        "a_process_cannot_have_more_memory_than_the_setting_says",
    ),
    *of(
        "test_network",
        "without_a_program_to_connect_it_a_command_has_its_loopback_alone",
        "the_setting_gives_the_hosts_network_or_none",
    ),
    *of("test_store", "an_image_that_does_not_fit_is_a_clear_error_and_leaves_nothing"),
    *of("test_cache", "a_real_store_is_sound_shown_pruned_and_used_again"),
    *of(
        "test_session",
        "an_sdk_program_starts_the_session_itself",
        "a_state_folder_that_cannot_be_used_is_one_clear_message",
    ),
)
# What depends on how many ids there are, of that; and whether the answers are a real engine's where least is allowed.
WITH_ONE_ID = (
    *("test_reference", "test_sandbox"),
    *of("test_images", "layers_come_in_gzip_and_zstd"),
    *of(
        "test_cancelling",
        "a_session_that_ends_takes_its_commands_along[killed]",
        "a_service_hears_that_it_shall_end_however_young_it_is",
    ),
)
# Reading settings, answering queries and talking with registries depend on no user.
WHOLE_MODULES = (
    *("test_reference", "test_sandbox", "test_contract", "test_containers", "test_directories", "test_toolchain"),
    *("test_overlays", "test_squashing", "test_seccomp", "test_uplinks"),
    *("test_cancelling", "test_chaos"),
)
_SHORT = ("-k", "not deep_chains")


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
    besides = [test for test in WITH_SEVERAL_IDS if test.partition("::")[0] not in WHOLE_MODULES]
    command = pytest_command([*WHOLE_MODULES, *besides]) if WHOLE else pytest_command(WITH_SEVERAL_IDS, *_SHORT)
    rounds = {"CHAOS_ROUNDS": "1"}
    done = run_unprivileged(folder, command, ids="subordinate", timeout=LIMIT_SECONDS, environment=rounds)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(LIMIT_SECONDS)
def test_what_depends_on_ids_holds_for_an_ordinary_user_with_a_single_id(folder: Path) -> None:
    command = pytest_command(WITH_ONE_ID, *_SHORT)
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
