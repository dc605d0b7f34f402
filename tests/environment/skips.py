"""A pytest plugin: with `CI=true` a skipped test is a failed one, unless it is marked `real_engine`.

Reports are changed where they are made, so pytest's own summary counts them, in parallel runs too.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails a test that was skipped."""
    report = yield
    if item.get_closest_marker("real_engine") or hasattr(report, "wasxfail"):
        return report
    return _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fails a module that was skipped as a whole."""
    report = yield
    return _failed_if_skipped(report)


def _failed_if_skipped(report: AnyReport) -> AnyReport:
    if report.skipped and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"With CI=true nothing may be skipped, but this was. {reason}"
    return report
