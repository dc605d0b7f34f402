"""How moments and states are written."""

from datetime import UTC, datetime, timedelta

import pytest

from task_manager.cli.statuses import moment_text

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("days", [-90, 90])
def test_a_moment_of_another_day_is_a_date(days: int) -> None:
    moment = NOW + timedelta(days=days)
    assert moment_text(moment, NOW) == f"{moment.astimezone():%Y-%m-%d}"


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_moment_close_to_now_is_a_time(hours: int) -> None:
    moment = NOW + timedelta(hours=hours)
    assert moment_text(moment, NOW) == f"{moment.astimezone():%H:%M:%S}"
