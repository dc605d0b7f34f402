"""Due times are those of the clocks of a zone; each comes once, however clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.cron_times import LONGEST, CronTimes
from task_manager.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata")
MINUTES = st.sampled_from(["0", "30", "15,45", "*", "*/20", "7-9", "0-59/30"])
HOURS = st.sampled_from(["0", "2", "1-3", "*", "*/2", "23", "0-23", "2,14"])
DAYS = st.sampled_from(["* * *", "1 * *", "* * MON-FRI", "L * *", "* 3,10,11 SUN#1", "13 * FRI", "* 3,4,10,11 0"])
EXPRESSIONS = st.tuples(MINUTES, HOURS, DAYS).map(" ".join)
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def local(cron: str, start: datetime, count: int) -> list[str]:
    found = CronTimes(cron, "Europe/Berlin").upcoming(start.replace(tzinfo=BERLIN), count)
    return [f"{one.astimezone(BERLIN):%m-%d %H:%M%z}" for one in found]


def test_a_time_of_day_that_is_left_out_is_due_at_the_next_moment() -> None:
    night = datetime(2026, 3, 28, 12)  # noqa: DTZ001
    assert local("30 2 * * *", night, 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]
    assert local("*/30 2 * * *", night, 3) == ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 02:30+0200"]
    assert local("0 */2 * * *", night.replace(hour=23), 3) == [
        "03-29 00:00+0100",
        "03-29 03:00+0200",
        "03-29 04:00+0200",
    ]


def test_a_time_of_day_that_comes_twice_is_due_once() -> None:
    night = datetime(2026, 10, 24, 12)  # noqa: DTZ001
    assert local("30 2 * * *", night, 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert local("*/30 2 * * *", night, 3) == ["10-25 02:00+0200", "10-25 02:30+0200", "10-26 02:00+0100"]


@pytest.mark.parametrize("hours", ["*", "*/1", "0-23"])
def test_what_is_due_every_hour_is_due_in_each_that_passes(hours: str) -> None:
    spring = local(f"30 {hours} * * *", datetime(2026, 3, 29, 1), 2)  # noqa: DTZ001
    autumn = local(f"30 {hours} * * *", datetime(2026, 10, 25, 2), 3)  # noqa: DTZ001
    assert spring == ["03-29 01:30+0100", "03-29 03:30+0200"]
    assert autumn == ["10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"]


@settings(max_examples=50)
@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS)
def test_due_times_are_the_same_from_wherever_one_looks(cron: str, zone: str, start: datetime) -> None:
    times = CronTimes(cron, zone)
    found = times.upcoming(start, 20)
    assert list(found) == sorted(set(found))
    assert found[0] > start
    for earlier, later in pairwise(found):
        assert times.after(earlier) == later
        assert times.after(earlier + (later - earlier) / 2) == later


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS, st.floats(0, 1))
def test_the_latest_due_time_is_the_last_one_that_has_come(cron: str, zone: str, start: datetime, part: float) -> None:
    times = CronTimes(cron, zone)
    found = times.upcoming(start, 20)
    now = found[0] + (found[-1] - found[0]) * part
    assert times.latest(found[0], now) == max(one for one in found if one <= now)


@given(st.sampled_from(ZONES), st.integers(0, 23), st.integers(0, 59), MOMENTS)
def test_a_time_of_day_is_due_once_on_each_day(zone: str, hour: int, minute: int, start: datetime) -> None:
    found = CronTimes(f"{minute} {hour} * * *", zone).upcoming(start, 100)
    days = [one.astimezone(ZoneInfo(zone)).date() for one in found]
    first: date = days[0]
    assert days == [first + timedelta(days=n) for n in range(100)]


def test_what_is_written_shortly_is_known() -> None:
    start = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
    due = {name: CronTimes(f"@{name}").after(start) for name in ("hourly", "Daily", "weekly", "monthly", "yearly")}
    assert due == {
        "hourly": datetime(2026, 3, 14, 16, tzinfo=UTC),
        "Daily": datetime(2026, 3, 15, tzinfo=UTC),
        "weekly": datetime(2026, 3, 15, tzinfo=UTC),
        "monthly": datetime(2026, 4, 1, tzinfo=UTC),
        "yearly": datetime(2027, 1, 1, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("60 * * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 0 * *", "bad day-of-month"),
        ("0 0 * 13 *", "bad month"),
        ("0 0 * * 8", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("* * * *", "it has 4 fields, not 5"),
        ("0 0 0 * * *", "it has 6 fields, not 5"),
        ("@reboot", "it has 1 fields"),
        ("", "it has 0 fields"),
        (f"{'0,' * LONGEST}0 * * * *", "more than 200 characters"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 */31 2 MON#5", "never comes"),
    ],
)
def test_an_expression_that_cannot_be_used_is_told_with_how_to_write_one(cron: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as told:
        CronTimes(cron)
    assert "30 6 * * 1-5" in told.value.remedy


@given(st.text(max_size=50) | st.lists(st.text("0123456789*/-,LW#MONJAN@?", max_size=8), max_size=6).map(" ".join))
def test_whatever_is_written_is_counted_with_or_refused(cron: str) -> None:
    try:
        times = CronTimes(cron)
    except InvalidInput:
        return
    assert times.after(datetime(2026, 3, 14, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("zone", "remedy"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Europe", "Europe"),
        ("../etc/passwd", "UTC"),
        ("", "UTC"),
        ("localtime", ""),
    ],
)
def test_a_zone_that_is_not_there_is_told_with_one_that_is(zone: str, remedy: str) -> None:
    with pytest.raises(InvalidInput, match="There is no time zone") as told:
        CronTimes("@daily", zone)
    assert remedy in told.value.remedy
