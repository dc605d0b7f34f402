"""Lists and statistics of runs by the command line, from a store that was filled without an engine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from task_manager.cli.following import RunView
from task_manager.cli.live import progress_table
from task_manager.cli.moments import moment
from task_manager.errors import InvalidInput
from task_manager.models import WorkflowRun, utc_now
from task_manager.run_statistics import Progress
from task_manager.store import Store, runs, steps
from task_manager.workflow_status import WorkflowStatus
from tests.cli.conftest import Cli
from tests.store.builders import (
    a_project,
    a_run,
    a_step,
    a_task,
    a_workflow,
    stored_project,
    stored_run,
    stored_task,
    stored_workflow,
)

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
STARTED = (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING)
WELL = (WorkflowStatus.PROCESSING, WorkflowStatus.SUCCEEDED)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that the command line opens too."""
    return Store.open(tmp_path / "data")


def started(store: Store, run: WorkflowRun, *ends: WorkflowStatus, seconds: float = 0) -> WorkflowRun:
    """Take a run to `running`, then through these states, so that it takes so long."""
    begin = utc_now() - timedelta(seconds=seconds)
    for status in STARTED:
        run = store.run_sync(runs.transition, run.id, status, now=begin)
    for status in ends:
        run = store.run_sync(runs.transition, run.id, status, now=begin + timedelta(seconds=seconds))
    return run


class TestList:
    def test_it_is_narrowed_by_each_option(self, cli: Cli, store: Store) -> None:
        project = stored_project(store, name="textkit")
        workflow = stored_workflow(store, stored_task(store, project, title="Train a model"), template_id="train")
        now = utc_now()
        old = stored_run(store, workflow, template_id="train", created_at=now - timedelta(days=9))
        new = stored_run(store, workflow, template_id="train", created_at=now, actor="ada")
        other = stored_run(store, stored_workflow(store, workflow_type="dagger_pipeline"), created_at=now)
        store.run_sync(runs.transition, other.id, WorkflowStatus.FAILED, now=now)

        def listed(*options: str) -> list[str]:
            return [item["id"] for item in cli("run", "list", *options, "--json").data["items"]]

        assert listed() == [other.id, new.id, old.id]
        assert listed("--status", "created", "--status", "failed") == [other.id, new.id, old.id]
        assert listed("--status", "failed", "--status", "lost") == [other.id]
        assert listed("--template", "train") == [new.id, old.id]
        assert listed("--type", "dagger_pipeline") == [other.id]
        assert listed("--project", "textkit", "--since", "7d") == [new.id]
        assert listed("--until", "7d") == [old.id]
        assert listed("--text", "TRAIN a", "--actor", "ada") == [new.id]
        assert listed("--since", "1h", "--until", f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S+00:00}") == [
            other.id,
            new.id,
        ]

    def test_pages_go_on_with_the_same_options(self, cli: Cli, store: Store) -> None:
        wanted = [stored_run(store, actor="ada").id for _ in range(3)]
        stored_run(store)
        first = cli("run", "list", "--actor", "ada", "--limit", "2", "--json").data
        rest = cli("run", "list", "--actor", "ada", "--limit", "2", "--cursor", first["next_cursor"], "--json").data
        assert [item["id"] for item in first["items"] + rest["items"]] == wanted[::-1]

    @pytest.mark.parametrize("when", ["yesterday", "7 parsecs", "2026-02-30", "999999999w", "NaNd"])
    def test_a_moment_that_is_none_is_refused_with_how_to_write_one(self, cli: Cli, store: Store, when: str) -> None:
        answer = cli("run", "list", "--since", when, code=2)
        assert f"'{when}' is no moment" in answer.stderr
        assert "30min" in answer.stderr

    def test_a_state_that_there_is_not_is_refused_with_those_that_there_are(self, cli: Cli, store: Store) -> None:
        answer = cli("run", "list", "--status", "failed", "--status", "broken", code=2)
        assert "'broken' is not one of" in answer.stderr
        assert "'timed_out'" in answer.stderr

    def test_a_range_without_time_in_it_is_refused(self, cli: Cli, store: Store) -> None:
        assert "No time is from" in cli("run", "stats", "--since", "1h", "--until", "2h", code=2).stderr


class TestStatistics:
    def test_they_tell_how_runs_went(self, cli: Cli, store: Store) -> None:
        workflow = stored_workflow(store, template_id="train")
        for seconds in (2, 4):
            run = stored_run(store, workflow, template_id="train")
            store.run_sync(steps.plan, [a_step(run, "a", cached=True), a_step(run, "b", cached=seconds == 2)])
            started(store, run, *WELL, seconds=seconds)
        started(store, stored_run(store), WorkflowStatus.FAILED, seconds=8)
        found = cli("run", "stats", "--json").data
        assert found["total"]["by_status"] == {"succeeded": 2, "failed": 1}
        assert (found["total"]["p50_seconds"], found["total"]["p95_seconds"]) == (4, 8)
        assert found["total"]["cached_share"] == 0.75
        assert [one["name"] for one in found["by_template"]] == ["train", None]
        shown = cli("run", "stats").stdout
        assert "✓ succeeded 2  ✗ failed 1" in shown
        train, own, containers, everything = (
            next(line.split() for line in shown.splitlines() if line.startswith(begin))
            for begin in ("train ", "own definitions ", "containerized_workflow ", "all ")
        )
        assert train == ["train", "2", "100%", "2.0", "s", "4.0", "s", "75%"]
        assert own == ["own", "definitions", "1", "0%", "8.0", "s", "8.0", "s"]
        assert containers[1:] == everything[1:] == ["3", "67%", "4.0", "s", "8.0", "s", "75%"]
        assert cli("run", "stats", "--template", "train", "--json").data["total"]["runs"] == 2

    def test_without_runs_they_say_so(self, cli: Cli, store: Store) -> None:
        assert cli("run", "stats").stdout == "There are no runs.\n"


class TestProgress:
    def test_a_status_tells_how_far_a_run_is_and_what_remains(self, cli: Cli, store: Store) -> None:
        workflow = stored_workflow(store)
        for _ in range(3):
            started(
                store, stored_run(store, workflow), WorkflowStatus.PROCESSING, WorkflowStatus.SUCCEEDED, seconds=600
            )
        run = stored_run(store, workflow)
        store.run_sync(steps.plan, [a_step(run, "a", status="succeeded"), a_step(run, "b")])
        assert "takes about 10:00 min (from 3 earlier runs)" in cli("run", "status", run.id).stdout
        started(store, run)
        shown = cli("run", "status", run.id).stdout
        assert "1/2 steps" in shown
        assert "min left (from 3 earlier runs)" in shown
        progress = cli("run", "status", run.id, "--json").data["progress"]
        assert (progress["steps_done"], progress["steps_total"], progress["expected_from"]) == (1, 2, 3)
        assert 590 < progress["remaining_seconds"] <= 600

    def test_a_run_that_takes_longer_is_told_so_and_one_that_is_over_has_no_estimate(
        self, cli: Cli, store: Store
    ) -> None:
        workflow = stored_workflow(store)
        done = started(
            store, stored_run(store, workflow), WorkflowStatus.PROCESSING, WorkflowStatus.SUCCEEDED, seconds=1
        )
        slow = started(store, stored_run(store, workflow), seconds=60)
        assert "longer than the usual 1.0 s (from 1 earlier run)" in cli("run", "status", slow.id).stdout
        assert "Estimate" not in cli("run", "status", done.id).stdout


class TestLive:
    def test_a_frame_shows_the_steps_that_are_over_and_what_remains_at_its_moment(self) -> None:
        run = a_run(a_workflow(a_task(a_project())), status="running", started_at=NOW)
        view = RunView("Train", run, (a_step(run, "a", status="succeeded"), a_step(run, "b", status="running")))
        progress = Progress(steps_done=1, steps_total=2, expected_seconds=90, expected_from=3)

        def drawn(seconds: float, view: RunView) -> str:
            console = Console(width=120)
            with console.capture() as capture:
                console.print(progress_table([view], NOW + timedelta(seconds=seconds), "*"))
            return capture.get()

        assert "1/2 steps  about 1:00 min left  b" in drawn(30, replace(view, progress=progress))
        assert "1/2 steps  longer than the usual 1:30 min  b" in drawn(100, replace(view, progress=progress))
        assert "1/2 steps  b" in drawn(30, replace(view, progress=Progress(1, 2)))


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("90s", NOW - timedelta(seconds=90)),
            ("30min", NOW - timedelta(minutes=30)),
            (" 2 h ", NOW - timedelta(hours=2)),
            ("7d", NOW - timedelta(days=7)),
            ("2w", NOW - timedelta(weeks=2)),
            ("2026-03-14T15:09:00Z", NOW),
            ("2026-03-14T16:09+01:00", NOW),
        ],
    )
    def test_it_is_how_long_ago_or_a_time(self, text: str, expected: datetime) -> None:
        assert moment(text, NOW) == expected

    def test_without_a_zone_it_is_local(self) -> None:
        assert moment("2026-03-14", NOW) == datetime(2026, 3, 14).astimezone()

    @pytest.mark.parametrize("text", ["", "1", "h", "-3d", "0001-01-01", "99999-01-01"])
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="no moment"):
            moment(text, NOW)
