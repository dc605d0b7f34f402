"""Log lines: where they go and what is in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from opentelemetry import trace

from task_manager.logs import Scrubber
from task_manager.structured_log import JsonLines, TextLines, about, get_logger, scrub


def test_an_event_is_one_line_with_its_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        get_logger("task_manager.example").info("run_started", run_id="run-1", note="100 % sure")
    assert caplog.messages == ['run_started run_id=run-1 note="100 % sure"']


def test_a_traceback_shows_no_values_and_nothing_goes_to_standard_output(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    password = "hunter2"
    try:
        int(password[:0])
    except ValueError:
        get_logger("task_manager.example").exception("login_failed")
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text
    assert capsys.readouterr().out == ""


def written(formatter: logging.Formatter, log: Callable[[], None], name: str = "task_manager.example") -> str:
    """What a handler with this formatter writes for what is logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    before, level = logger.propagate, logger.level
    logger.propagate, logger.level = False, logging.INFO
    try:
        log()
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.level = before, level
    return stream.getvalue()


def test_in_json_a_line_is_an_object_with_what_it_is_about() -> None:
    def log() -> None:
        with about(run_id="run-1", task_id=None):
            get_logger("task_manager.example").warning("step_ended", exit_code=3, note="two\nlines")

    line = written(JsonLines(), log)
    assert line.count("\n") == 1
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is UTC
    assert told == {
        "level": "warning",
        "logger": "task_manager.example",
        "event": "step_ended",
        "exit_code": 3,
        "note": "two\nlines",
        "run_id": "run-1",
    }


def test_lines_of_other_packages_have_the_same_form_and_say_what_they_are_about() -> None:
    def log() -> None:
        with about(run_id="run-1"):
            logging.getLogger("elsewhere").warning("slow: %d ms", 12)

    told = json.loads(written(JsonLines(), log, "elsewhere"))
    assert (told["logger"], told["event"], told["run_id"]) == ("elsewhere", "slow: 12 ms", "run-1")


async def test_what_is_begun_in_a_block_says_what_it_is_about_after_the_block() -> None:
    logger = get_logger("task_manager.example")
    go = asyncio.Event()

    async def later() -> str:
        await go.wait()
        return written(TextLines(), lambda: logger.info("later"))

    with about(run_id="run-1"):
        begun = asyncio.create_task(later())
    outside = written(TextLines(), lambda: logger.info("outside"))
    go.set()
    assert await begun == "INFO task_manager.example: later run_id=run-1\n"
    assert outside == "INFO task_manager.example: outside\n"


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
async def test_secrets_that_are_known_are_in_no_line(formatter: logging.Formatter) -> None:
    def log() -> None:
        scrub(Scrubber(["hunter2-hunter2"]).text)
        try:
            int("hunter2-hunter2")
        except ValueError as error:
            get_logger("task_manager.example").exception("login_failed", error=str(error))
            logging.getLogger("task_manager.example").warning("url is https://u:%s@host", "hunter2-hunter2")

    said = await asyncio.create_task(_writing(formatter, log))
    assert "hunter2" not in said
    assert "***" in said


async def _writing(formatter: logging.Formatter, log: Callable[[], None]) -> str:
    return written(formatter, log)


def test_within_a_trace_a_line_has_its_ids() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=True))
    with trace.use_span(span):
        told = json.loads(written(JsonLines(), lambda: get_logger("task_manager.example").info("here")))
    assert (told["trace_id"], told["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
