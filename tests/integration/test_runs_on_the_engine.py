"""Runs in real containers: files, failures, limits, cancelling, secrets, networks, functions."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from task_manager.dagger_integration import RunState
from task_manager.pipeline import HOST_TOOLCHAIN, Pipeline
from task_manager.pipeline_converter import optimise, plan
from task_manager.workflow_status import StepStatus, WorkflowStatus
from tests.environment.processes import endless, processes_with, until
from tests.integration.conftest import OpenWorkshop, Workshop


def sh(script: str, *, step: str = "only", image: str, **more: object) -> dict[str, object]:
    return {"id": step, "image": image, "command": ["sh", "-c", script], **more}


async def artifact(shop: Workshop, state: RunState, name: str) -> Path:
    (found,) = [item for item in state.artifacts if item.name == name]
    return await shop.integration.artifacts.export(found, shop.integration.store.data_dir / name / found.digest)


async def test_steps_pass_files_on_and_outputs_reach_the_host(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path
) -> None:
    async with workshop() as shop:
        (tmp_path / "source" / "in.txt").write_text("from the host")
        state = await shop.run_steps(
            sh(
                "mkdir out; tr a-z A-Z < in.txt > out/big.txt",
                step="shout",
                image=busybox_image,
                sources=[{"type": "host", "path": "in.txt", "target": "in.txt"}],
                outputs=[{"name": "out", "type": "directory", "path": "out"}],
            ),
            sh(
                "cat /in/big.txt; echo done > said.txt",
                step="say",
                image=busybox_image,
                sources=[{"type": "step", "step": "shout", "output": "out", "target": "/in"}],
                outputs=[{"name": "said", "path": "said.txt"}, {"name": "log", "type": "stdout"}],
            ),
        )
        assert state.run.status is WorkflowStatus.SUCCEEDED
        assert ((await artifact(shop, state, "shout/out")) / "big.txt").read_text() == "FROM THE HOST"
        assert (await artifact(shop, state, "say/said")).read_text() == "done\n"
        assert (await artifact(shop, state, "say/log")).read_text() == "FROM THE HOST"
        assert state.steps[0].image_digest is not None
        assert state.steps[0].image_digest.startswith(busybox_image.rpartition(":")[0])


async def test_a_run_cannot_change_the_source_folder(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path
) -> None:
    async with workshop() as shop:
        (tmp_path / "source" / "a.txt").write_text("untouched")
        source = {"type": "host", "target": "/task"}
        state = await shop.run_steps(sh("echo x > a.txt; rm -f a.txt; touch b", image=busybox_image, sources=[source]))
        assert state.run.status is WorkflowStatus.SUCCEEDED
        assert [path.name for path in (tmp_path / "source").iterdir()] == ["a.txt"]
        assert (tmp_path / "source" / "a.txt").read_text() == "untouched"


async def test_a_failing_command_tells_code_and_lines_and_leaves_its_outputs(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    async with workshop() as shop:
        outputs = [{"name": "report", "path": "report.txt"}]
        state = await shop.run_steps(
            sh("echo halfway > report.txt; echo oh no >&2; exit 42", image=busybox_image, outputs=outputs)
        )
        assert state.run.status is WorkflowStatus.FAILED
        assert (state.steps[0].exit_code, state.steps[0].stderr_tail) == (42, "oh no")
        assert (await artifact(shop, state, "only/report")).read_text() == "halfway\n"


@pytest.mark.parametrize("code", [1, 130, 137])
async def test_every_exit_code_reaches_the_record(workshop: OpenWorkshop, busybox_image: str, code: int) -> None:
    async with workshop() as shop:
        state = await shop.run_steps(sh(f"exit {code}", image=busybox_image))
        assert (state.run.status, state.steps[0].exit_code) == (WorkflowStatus.FAILED, code)


async def test_a_failed_step_runs_anew_in_the_next_run_and_a_good_one_is_not_repeated(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    clock = "cat /proc/sys/kernel/random/uuid"
    async with workshop() as shop:
        task = await shop.task(
            "Flaky",
            sh(clock, step="good", image=busybox_image),
            sh(f"{clock}; exit 1", step="bad", image=busybox_image),
        )
        first = {step.step_id: step.stdout_tail for step in (await shop.run(task)).steps}
        second = {step.step_id: step.stdout_tail for step in (await shop.run(task)).steps}
        third = {step.step_id: step.stdout_tail for step in (await shop.run(task, skip_cache=True)).steps}
        assert first["good"] == second["good"]
        assert len({first["bad"], second["bad"], third["bad"]}) == 3
        assert third["good"] != first["good"]


async def test_a_step_over_its_time_limit_is_stopped_with_all_its_processes(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    seconds = endless()
    async with workshop() as shop:
        step = sh(f"sleep {seconds} & sleep {seconds}", image=busybox_image, timeout=1)
        state = await shop.run_steps(step)
        assert state.run.status is WorkflowStatus.TIMED_OUT
        assert state.steps[0].status is StepStatus.TIMED_OUT
        assert state.run.reason is not None
        assert "1 s" in state.run.reason.text
        await until(lambda: not processes_with(seconds))


async def test_cancelling_a_run_stops_its_container(workshop: OpenWorkshop, busybox_image: str) -> None:
    seconds = endless()
    async with workshop() as shop:
        task = await shop.task("Endless", sh(f"sleep {seconds}", image=busybox_image))
        run = await shop.integration.execute_task_workflow(task.id)
        await until(lambda: bool(processes_with(seconds)))
        ended = await shop.integration.cancel_run(run.id, actor="tester")
        assert ended.status is WorkflowStatus.CANCELLED
        await until(lambda: not processes_with(seconds))
        assert (await shop.integration.get_run(run.id)).steps[0].status is StepStatus.CANCELLED


def log_of(shop: Workshop, run_id: str, name: str = "stdout.log") -> str:
    """What the log of a run's only step has by now; nothing where there is none."""
    path = shop.integration.store.data_dir / "runs" / run_id / "only" / name
    return path.read_text() if path.is_file() else ""


async def test_lines_are_in_the_log_while_the_step_runs_and_stay_when_it_is_stopped(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    seconds = endless()
    async with workshop() as shop:
        task = await shop.task("Talkative", sh(f"echo begun; echo odd >&2; sleep {seconds}", image=busybox_image))
        run = await shop.integration.execute_task_workflow(task.id)
        await until(lambda: (log_of(shop, run.id), log_of(shop, run.id, "stderr.log")) == ("begun\n", "odd\n"))
        (step,) = (await shop.integration.get_run(run.id)).steps
        assert (step.status, step.log) == (StepStatus.RUNNING, f"runs/{run.id}/only")
        await shop.integration.cancel_run(run.id, actor="tester")
        (step,) = (await shop.integration.get_run(run.id)).steps
        assert (step.status, step.log) == (StepStatus.CANCELLED, f"runs/{run.id}/only")
        assert log_of(shop, run.id) == "begun\n"


async def test_what_a_step_wrote_before_its_time_limit_is_kept(workshop: OpenWorkshop, busybox_image: str) -> None:
    async with workshop() as shop:
        for limit in (2, 10, 60):  # on a busy machine it takes long until the step writes at all
            state = await shop.run_steps(sh(f"echo begun; sleep {endless()}", image=busybox_image, timeout=limit))
            assert state.steps[0].status is StepStatus.TIMED_OUT
            if state.steps[0].stdout_tail:
                break
        assert (state.steps[0].stdout_tail, log_of(shop, state.run.id)) == ("begun", "begun\n")


async def test_an_equal_step_of_a_later_run_comes_from_the_cache(workshop: OpenWorkshop, busybox_image: str) -> None:
    async with workshop() as shop:
        script = f"cat /proc/sys/kernel/random/uuid # {uuid.uuid4()}: no other test has run it"
        task = await shop.task("Random", sh(script, image=busybox_image))
        first, second = await shop.run(task), await shop.run(task)
        assert log_of(shop, first.run.id) == log_of(shop, second.run.id) != ""
        assert [state.steps[0].cached for state in (first, second)] == [False, True]


async def test_a_secrets_value_reaches_the_command_and_nothing_that_is_kept(
    workshop: OpenWorkshop, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "c4nary-v4lue-31415")
    async with workshop() as shop:
        outputs = [{"name": "length", "path": "length.txt"}]
        state = await shop.run_steps(
            sh(
                "echo $TOKEN; echo $TOKEN >&2; echo ${#TOKEN} > length.txt",
                image=busybox_image,
                secrets={"TOKEN": "env:CANARY"},
                outputs=outputs,
            )
        )
        assert state.run.status is WorkflowStatus.SUCCEEDED
        assert (await artifact(shop, state, "only/length")).read_text() == "18\n"
        runs_folder = shop.integration.store.data_dir / "runs" / state.run.id
        kept = [*runs_folder.rglob("*"), *shop.integration.store.data_dir.glob("*.db*")]
        assert not [path for path in kept if path.is_file() and b"c4nary-v4lue-31415" in path.read_bytes()]


async def test_a_step_without_network_has_no_interface_but_its_own_loopback(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    async with workshop() as shop:
        count = "ls /sys/class/net | grep -vc '^lo$'; cat /proc/net/dev | tail -n +3 | grep -vc lo:"
        state = await shop.run_steps(sh(f"{count}; true", image=busybox_image, network=False))
        assert state.steps[0].stdout_tail.split()[-1] == "0"


FUNCTION = """
async def pipeline(dag, inputs):
    container = dag.container().from_(inputs["image"]).with_exec(["sh", "-c", "echo made > /out.txt"])
    return container.file("/out.txt")

async def broken(dag, inputs):
    return await dag.container().from_(inputs["image"]).with_exec(["false"]).stdout()
"""


async def test_a_function_written_with_the_dagger_sdk_runs_and_returns_a_file(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "release.py").write_text(FUNCTION)
    async with workshop(pipelines_dir=tmp_path / "pipelines") as shop:
        inputs = {"image": busybox_image}
        good = await shop.task("Good", pipeline={"function": "release:pipeline"}, inputs=inputs)
        state = await shop.run(good, workflow_type="dagger_pipeline")
        assert state.run.status is WorkflowStatus.SUCCEEDED
        assert (await artifact(shop, state, "pipeline/value")).read_text() == "made\n"
        bad = await shop.run(await shop.task("Bad", pipeline={"function": "release:broken"}, inputs=inputs))
        assert bad.run.status is WorkflowStatus.FAILED


async def test_the_host_toolchain_shows_programs_and_nothing_of_homes_or_sockets(
    workshop: OpenWorkshop, tmp_path: Path
) -> None:
    look = (
        "import os, json, sys\n"
        "def names(p):\n    return sorted(os.listdir(p)) if os.path.isdir(p) else []\n"
        "print(json.dumps({'root': names('/'), 'run': names('/run'), 'var': names('/var'), 'home': names('/home'),"
        " 'writable': os.access(sys.prefix, os.W_OK), 'prefix': sys.prefix}))"
    )
    async with workshop(images="host") as shop:
        state = await shop.run_steps({"id": "look", "image": HOST_TOOLCHAIN, "command": ["python3", "-c", look]})
        assert state.run.status is WorkflowStatus.SUCCEEDED
        seen = json.loads(state.steps[0].stdout_tail)
        assert (seen["run"], seen["var"], seen["writable"]) == ([], [], False)
        assert "usr" in seen["root"]


GRAPH: list[dict[str, object]] = [
    {"id": "a", "command": ["sh", "-c", "echo one > o"], "outputs": [{"name": "o", "path": "o"}]},
    {"id": "b", "command": ["sh", "-c", "echo one > o"], "outputs": [{"name": "o", "path": "o"}]},
    {
        "id": "c",
        "command": ["sh", "-c", "cat x y > z"],
        "needs": ["a", "b"],
        "sources": [
            {"type": "step", "step": "a", "output": "o", "target": "x"},
            {"type": "step", "step": "b", "output": "o", "target": "y"},
        ],
        "outputs": [{"name": "z", "path": "z"}],
    },
]


async def test_an_optimised_pipeline_leaves_what_the_plain_one_leaves(
    workshop: OpenWorkshop, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [{**step, "image": busybox_image} for step in GRAPH]
    assert len(optimise(Pipeline.model_validate({"steps": steps})).aliases) == 1
    left: list[dict[str, str]] = []
    for planner in (optimise, plan):
        monkeypatch.setattr("task_manager.run_executor.optimise", planner)
        async with workshop() as shop:
            state = await shop.run_steps(*steps)
            assert state.run.status is WorkflowStatus.SUCCEEDED
            left.append({item.name: item.digest for item in state.artifacts})
    assert left[0] == left[1]
