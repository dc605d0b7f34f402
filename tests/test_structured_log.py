"""Log lines: where they go and what is in them."""

from __future__ import annotations

import logging

import pytest

from task_manager.structured_log import get_logger


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
