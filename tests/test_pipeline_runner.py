"""The runner with a faked engine: what it asks the engine for, and what it tells about each step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from task_manager.communication import EngineKind
from task_manager.config import ImagePolicy, Settings
from task_manager.errors import (
    EngineCircuitOpen,
    EngineLost,
    EngineUnavailable,
    InvalidConfiguration,
    MissingPrograms,
    RegistryUnreachable,
    StepFailed,
)
from task_manager.pipeline import HOST_TOOLCHAIN, Pipeline, Step
from task_manager.pipeline_converter import optimise
from task_manager.pipeline_runner import PipelineRunner
from task_manager.running.containers import EPOCH_VARIABLE
from task_manager.running.records import RunContext, StepOutcome
from task_manager.running.run_session import ReconnectPolicy, reconnecting
from task_manager.testing import FakeCall, FakeCommunicationManager, FakeEngine, FakeExec
from task_manager.workflow_status import Reason, StepStatus


@dataclass
class Listener:
    """An observer that remembers."""

    started: list[str] = field(default_factory=list)
    ended: list[StepOutcome] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)

    async def step_started(self, step: Step, image: str, image_digest: str | None) -> None:
        self.started.append(step.id)

    async def step_ended(self, outcome: StepOutcome) -> None:
        self.ended.append(outcome)

    async def warned(self, reason: Reason) -> None:
        self.warnings.append(reason)


@dataclass
class Bench:
    """A runner over a fake engine, with the folder that it writes to."""

    folder: Path
    settings: Settings
    engine: FakeEngine
    listener: Listener = field(default_factory=Listener)
    kind: EngineKind = EngineKind.EMBEDDED

    async def run(self, *steps: Mapping[str, object], **context: object) -> dict[str, StepOutcome]:
        pipeline = Pipeline.model_validate({"steps": [{"image": "busybox", **step} for step in steps]})
        runner = PipelineRunner(FakeCommunicationManager(self.settings, self.engine, kind=self.kind), self.settings)
        run_context = RunContext(run_id="run-1", run_folder=self.folder / "run-1", **context)  # type: ignore[arg-type]
        prepared = await runner.prepare(optimise(pipeline), run_context, self.listener)
        outcomes = await runner.run(prepared, self.listener)
        return {outcome.step.id: outcome for outcome in outcomes}


def bench(tmp_path: Path, engine: FakeEngine | None = None, **settings: object) -> Bench:
    return Bench(tmp_path, Settings.model_validate({"data_dir": tmp_path, **settings}), engine or FakeEngine())


def failing(*arguments: str, code: int = 1, **more: object) -> FakeEngine:
    return FakeEngine({arguments: FakeExec(exit_code=code, **more)})  # type: ignore[arg-type]


async def test_a_command_that_ends_with_zero_succeeds_with_its_output(tmp_path: Path) -> None:
    engine = FakeEngine({("say",): FakeExec(stdout="hello\n", stderr="psst\n")})
    outcome = (await bench(tmp_path, engine).run({"id": "say", "command": ["say"]}))["say"]
    assert (outcome.status, outcome.exit_code, outcome.stdout, outcome.stderr) == (
        StepStatus.SUCCEEDED,
        0,
        "hello\n",
        "psst\n",
    )


async def test_a_failed_step_skips_those_that_need_it_and_no_others(tmp_path: Path) -> None:
    outcomes = await bench(tmp_path, failing("no", code=3)).run(
        {"id": "bad", "command": ["no"]},
        {"id": "after", "command": ["x"], "needs": ["bad"]},
        {"id": "later", "command": ["y"], "needs": ["after"]},
        {"id": "beside", "command": ["z"]},
    )
    assert {name: outcome.status.value for name, outcome in outcomes.items()} == {
        "bad": "failed",
        "after": "skipped",
        "later": "skipped",
        "beside": "succeeded",
    }
    assert outcomes["bad"].exit_code == 3
    assert outcomes["after"].reason is not None
    assert "bad" in outcomes["after"].reason.text


async def test_a_failed_command_still_delivers_the_outputs_that_it_wrote(tmp_path: Path) -> None:
    engine = failing("pytest", files={"/task/report.xml": "<testsuite/>"})
    step = {"id": "tests", "command": ["pytest"], "outputs": [{"name": "junit", "path": "report.xml"}]}
    outcome = (await bench(tmp_path, engine).run(step))["tests"]
    assert outcome.status is StepStatus.FAILED
    assert [exported.path.read_text() for exported in outcome.outputs] == ["<testsuite/>"]


async def test_a_missing_output_of_a_command_that_ended_well_fails_the_step(tmp_path: Path) -> None:
    step = {"id": "build", "command": ["make"], "outputs": [{"name": "wheel", "path": "/out/x.whl"}]}
    outcome = (await bench(tmp_path).run(step))["build"]
    assert outcome.status is StepStatus.FAILED
    assert outcome.reason is not None
    assert outcome.reason.code == "output_invalid"
    assert "/out/x.whl" in outcome.reason.text


async def test_an_optional_output_may_be_missing(tmp_path: Path) -> None:
    step = {"id": "build", "command": ["make"], "outputs": [{"name": "notes", "path": "n.txt", "optional": True}]}
    assert (await bench(tmp_path).run(step))["build"].status is StepStatus.SUCCEEDED


async def test_an_output_of_one_step_is_a_file_of_the_next(tmp_path: Path) -> None:
    engine = FakeEngine({("make",): FakeExec(files={"/task/out.txt": "made"})})
    await bench(tmp_path, engine).run(
        {"id": "make", "command": ["make"], "outputs": [{"name": "out", "path": "out.txt"}]},
        {
            "id": "use",
            "command": ["use"],
            "sources": [{"type": "step", "step": "make", "output": "out", "target": "/in/made.txt"}],
        },
    )
    assert engine.calls[-1].files["/in/made.txt"] == "made"


async def test_an_output_that_is_not_kept_serves_other_steps_and_stays_in_the_engine(tmp_path: Path) -> None:
    engine = FakeEngine({("make",): FakeExec(files={"/task/tools/a": "tool"})})
    output = {"name": "tools", "type": "directory", "path": "tools", "keep": False}
    source = {"type": "step", "step": "make", "output": "tools", "target": "/t"}
    outcomes = await bench(tmp_path, engine).run(
        {"id": "make", "command": ["make"], "outputs": [output]},
        {"id": "use", "command": ["use"], "sources": [source]},
    )
    assert outcomes["make"].outputs == ()
    assert engine.calls[-1].files["/t/a"] == "tool"


async def test_an_output_that_is_not_kept_must_be_there_all_the_same(tmp_path: Path) -> None:
    output = {"name": "tools", "type": "directory", "path": "tools", "keep": False}
    outcome = (await bench(tmp_path).run({"id": "make", "command": ["make"], "outputs": [output]}))["make"]
    assert outcome.status is StepStatus.FAILED


async def test_host_files_come_from_the_source_folder(tmp_path: Path) -> None:
    source = tmp_path / "project"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a.txt").write_text("a")
    work = bench(tmp_path)
    step = {"id": "read", "command": ["read"], "sources": [{"type": "host", "path": "sub", "target": "/src"}]}
    await work.run(step, source_folder=source)
    assert work.engine.calls[-1].files["/src/a.txt"] == "a"


async def test_an_optional_host_source_is_left_out_where_there_is_no_source_folder(tmp_path: Path) -> None:
    step = {"id": "s", "command": ["x"], "sources": [{"type": "host", "target": "/src", "optional": True}]}
    assert (await bench(tmp_path).run(step))["s"].status is StepStatus.SUCCEEDED


async def test_a_link_that_leads_out_of_the_source_folder_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "project"
    source.mkdir()
    (tmp_path / "secret").write_text("x")
    (source / "link").symlink_to(tmp_path)
    step = {"id": "read", "command": ["read"], "sources": [{"type": "host", "path": "link/secret", "target": "/x"}]}
    work = bench(tmp_path)
    outcome = (await work.run(step, source_folder=source))["read"]
    assert outcome.reason is not None
    assert outcome.reason.code == "source_not_found"
    assert work.engine.calls == []


async def test_a_script_gets_values_as_environment_and_arguments_only(tmp_path: Path) -> None:
    work = bench(tmp_path)
    script = {"contents": "echo $X", "interpreter": ["sh", "-e"], "arguments": ["a b"], "name": "run.sh"}
    await work.run({"id": "s", "script": script, "environment": {"X": "$(rm -rf /)"}})
    call = work.engine.calls[-1]
    assert call.arguments == ("sh", "-e", "/task-manager/run.sh", "a b")
    assert call.files["/task-manager/run.sh"] == "echo $X"
    assert call.environment["X"] == "$(rm -rf /)"


async def test_a_step_without_network_carries_the_label(tmp_path: Path) -> None:
    work = bench(tmp_path)
    await work.run({"id": "s", "command": ["x"], "network": False})
    assert work.engine.calls[-1].labels == {"task-manager.network": "none"}


@pytest.mark.parametrize(("kind", "codes"), [(EngineKind.EMBEDDED, []), (EngineKind.DAGGER, ["network_not_isolated"])])
async def test_an_engine_that_cannot_take_the_network_away_is_warned_of(
    tmp_path: Path, kind: EngineKind, codes: list[str]
) -> None:
    work = bench(tmp_path)
    work.kind = kind
    await work.run({"id": "s", "command": ["x"], "network": False})
    assert [warning.code for warning in work.listener.warnings] == codes


async def test_the_environment_of_the_settings_reaches_each_step_and_the_steps_own_wins(tmp_path: Path) -> None:
    work = bench(tmp_path, environment={"A": "setting", "B": "setting"})
    await work.run({"id": "s", "command": ["x"], "environment": {"B": "step"}})
    environment = work.engine.calls[-1].environment
    assert (environment["A"], environment["B"]) == ("setting", "step")


async def test_a_secret_is_read_where_the_run_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret")
    work = bench(tmp_path)
    await work.run({"id": "s", "command": ["x"], "secrets": {"TOKEN": "env:MY_TOKEN"}})
    assert work.engine.calls[-1].environment["TOKEN"] == "s3cret"


async def test_a_secret_that_is_not_there_fails_its_step_and_names_the_reference(tmp_path: Path) -> None:
    outcome = (await bench(tmp_path).run({"id": "s", "command": ["x"], "secrets": {"T": "file:/no/such/file"}}))["s"]
    assert outcome.reason is not None
    assert outcome.reason.code == "invalid_configuration"
    assert "/no/such/file" in outcome.reason.text


async def test_a_failing_step_is_run_again_as_often_as_it_may_be(tmp_path: Path) -> None:
    def second_time_lucky(call: FakeCall) -> FakeExec:
        return FakeExec(exit_code=0 if call.environment.get(EPOCH_VARIABLE) == "run-1:2" else 1)

    outcome = (await bench(tmp_path, FakeEngine(second_time_lucky)).run({"id": "s", "command": ["x"], "retries": 5}))[
        "s"
    ]
    assert (outcome.status, outcome.attempts) == (StepStatus.SUCCEEDED, 2)


async def test_a_failure_that_the_engine_raises_keeps_the_exit_code(tmp_path: Path) -> None:
    raised = StepFailed("killed", details={"exit_code": 137, "stdout": "half", "stderr": "Killed"})
    engine = FakeEngine({("x",): FakeExec(error=raised)})
    outcome = (await bench(tmp_path, engine).run({"id": "s", "command": ["x"]}))["s"]
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (137, "half", "Killed")


async def test_a_step_that_failed_in_an_earlier_run_is_not_answered_from_the_engines_cache(tmp_path: Path) -> None:
    work = bench(tmp_path)
    await work.run({"id": "s", "command": ["x"]}, epochs={"s": "run-0"})
    assert work.engine.calls[-1].environment[EPOCH_VARIABLE] == "run-0"


@pytest.mark.parametrize(("step", "context"), [({"cache": "never"}, {}), ({}, {"fresh": True})])
async def test_a_fresh_run_or_an_uncached_step_is_told_apart_from_all_earlier_ones(
    tmp_path: Path, step: dict[str, object], context: dict[str, object]
) -> None:
    work = bench(tmp_path)
    await work.run({"id": "s", "command": ["x"], **step}, **context)
    assert work.engine.calls[-1].environment[EPOCH_VARIABLE] == "run-1:1"


async def test_an_ordinary_step_has_nothing_in_it_that_changes_from_run_to_run(tmp_path: Path) -> None:
    work = bench(tmp_path)
    await work.run({"id": "s", "command": ["x"]})
    assert EPOCH_VARIABLE not in work.engine.calls[-1].environment


def unreachable(*images: str) -> FakeEngine:
    return FakeEngine(unreachable={image: RegistryUnreachable(f"{image} cannot be pulled") for image in images})


async def test_when_the_registry_cannot_be_reached_the_host_toolchain_stands_in_with_a_warning(tmp_path: Path) -> None:
    work = bench(tmp_path, unreachable("busybox"))
    outcome = (await work.run({"id": "s", "command": ["sh", "-c", "true"]}))["s"]
    assert outcome.image == HOST_TOOLCHAIN
    assert outcome.image_digest is not None
    assert outcome.image_digest.startswith(HOST_TOOLCHAIN)
    assert [warning.code for warning in work.listener.warnings] == ["host_toolchain"]
    assert "busybox" in work.listener.warnings[0].text


async def test_images_pull_refuses_a_stand_in(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable):
        await bench(tmp_path, unreachable("busybox"), images=ImagePolicy.PULL).run({"id": "s", "command": ["sh"]})


async def test_a_stand_in_without_the_needed_programs_is_refused_and_names_them(tmp_path: Path) -> None:
    work = bench(tmp_path, unreachable("busybox"))
    with pytest.raises(MissingPrograms, match=r"no-such-program.*module:no_such_module") as caught:
        await work.run({"id": "s", "command": ["sh"], "requires": ["no-such-program", "module:no_such_module"]})
    assert caught.value.details["missing"] == {"s": ["no-such-program", "module:no_such_module"]}


async def test_only_the_embedded_engine_has_the_host_toolchain(tmp_path: Path) -> None:
    work = bench(tmp_path, images=ImagePolicy.HOST)
    work.kind = EngineKind.DAGGER
    with pytest.raises(InvalidConfiguration, match="embedded"):
        await work.run({"id": "s", "command": ["sh"]})


async def test_cancelling_stops_running_steps_and_tells_of_all_that_did_not_end(tmp_path: Path) -> None:
    entered = asyncio.Event()

    class Hanging(Listener):
        async def step_started(self, step: Step, image: str, image_digest: str | None) -> None:
            entered.set()
            await asyncio.Event().wait()

    work = bench(tmp_path)
    work.listener = Hanging()
    task = asyncio.create_task(
        work.run({"id": "first", "command": ["x"]}, {"id": "second", "command": ["y"], "needs": ["first"]})
    )
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {outcome.step.id: outcome.status.value for outcome in work.listener.ended} == {
        "first": "cancelled",
        "second": "cancelled",
    }


def test_pauses_double_up_to_the_longest_and_last_as_long_as_calls_are_held_back() -> None:
    policy = ReconnectPolicy(times=5, first_pause=1, longest_pause=5)
    lost, held_back = EngineLost("gone"), EngineCircuitOpen("wait", details={"retry_in": 7.5})
    assert [policy.pause(failures, lost) for failures in range(1, 5)] == [1, 2, 4, 5]
    assert policy.pause(1, held_back) == 7.5


async def test_an_engine_that_cannot_be_had_again_is_tried_as_often_as_the_policy_says() -> None:
    tried: list[int] = []

    async def fail() -> None:
        tried.append(len(tried))
        raise EngineUnavailable("none")

    with pytest.raises(EngineUnavailable):
        await reconnecting(fail, ReconnectPolicy(times=2, first_pause=0.01))
    assert len(tried) == 3


async def test_another_error_of_the_engine_is_not_tried_again() -> None:
    tried: list[int] = []

    async def fail() -> None:
        tried.append(len(tried))
        raise MissingPrograms("no sh")

    with pytest.raises(MissingPrograms):
        await reconnecting(fail, ReconnectPolicy())
    assert len(tried) == 1
