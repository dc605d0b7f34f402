"""`task-manager-engine doctor` says whether sandboxes work, why not, and what to do."""

import errno
import json
import sys
from pathlib import Path

import pytest

from task_manager.embedded_engine import doctor
from tests.embedded_engine.engine import run_command


def test_a_machine_that_runs_these_tests_is_usable(tmp_path: Path) -> None:
    done = run_command("doctor", "--json", "--state-dir", str(tmp_path / "state"))
    report = json.loads(done.stdout)
    assert (done.returncode, report["usable"]) == (0, True)
    names = {finding["name"] for finding in report["findings"]}
    assert {"user namespaces", "ids", "state folder", "overlay file systems"} <= names


def test_people_read_one_line_per_finding(tmp_path: Path) -> None:
    lines = run_command("doctor", "--state-dir", str(tmp_path / "state")).stdout.splitlines()
    assert lines[0].startswith("ok")
    assert lines[-1] == "sandboxes work here"


def test_an_unusable_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_command("doctor", "--json", "--state-dir", str(tmp_path / "file" / "state"))
    failed = [finding for finding in json.loads(done.stdout)["findings"] if not finding["ok"] and finding["required"]]
    assert done.returncode == 3
    assert [finding["name"] for finding in failed] == ["state folder"]
    assert "TASK_MANAGER_ENGINE_STATE_DIR" in failed[0]["remedy"]


@pytest.mark.parametrize(
    ("settings", "code", "detail", "remedy"),
    [
        (
            {"user/max_user_namespaces": "0"},
            errno.ENOSPC,
            "max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces",
        ),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            errno.EACCES,
            "AppArmor",
            "apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"kernel/unprivileged_userns_clone": "0"},
            errno.EPERM,
            "unprivileged_userns_clone is 0",
            "unprivileged_userns_clone=1",
        ),
        ({}, errno.ENOSPC, "limit of user namespaces", "max_user_namespaces=15000"),
    ],
)
def test_a_forbidding_kernel_setting_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], code: int, detail: str, remedy: str
) -> None:
    monkeypatch.setattr(doctor, "_setting", lambda name: settings.get(name, ""))
    monkeypatch.setattr(doctor, "_in_child", lambda _: OSError(code, "refused"))
    (finding,) = doctor.examine(Path("/nowhere"))
    assert not finding.ok
    assert detail in finding.detail
    assert remedy in finding.remedy


@pytest.mark.parametrize(("container", "seccomp", "detail"), [(True, False, "container"), (False, True, "seccomp")])
def test_forbidding_surroundings_are_named(
    monkeypatch: pytest.MonkeyPatch, container: bool, seccomp: bool, detail: str
) -> None:
    monkeypatch.setattr(doctor, "_setting", lambda _: "")
    monkeypatch.setattr(doctor, "_in_child", lambda _: OSError(errno.EPERM, "refused"))
    monkeypatch.setattr(doctor, "_in_container", lambda: container)
    monkeypatch.setattr(doctor, "_seccomp_filtered", lambda: seccomp)
    (finding,) = doctor.examine(Path("/nowhere"))
    assert detail in finding.detail


def test_another_system_is_told_to_use_a_dagger_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    (finding,) = doctor.examine(Path("/nowhere"))
    assert "macOS" in finding.detail
    assert "Docker Desktop" in finding.remedy
