"""When a run that failed is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import EngineLost, RegistryUnreachable, StepFailed, StepTimedOut
from task_manager.failure_rules import Classification, Evidence, classify
from task_manager.retry_policy import RUN_TIMED_OUT, RetryCause, RetryPolicy, RetryStrategy, retry_cause


def failure(code: str, output: str = "") -> Classification:
    return classify(Evidence(code, 1, output))


LOST = failure(EngineLost.code)


@pytest.mark.parametrize(
    ("failed", "cause"),
    [
        (LOST, RetryCause.INFRASTRUCTURE),
        (failure(RegistryUnreachable.code), RetryCause.INFRASTRUCTURE),
        (failure(StepTimedOut.code), RetryCause.TIME_OUT),
        (failure(RUN_TIMED_OUT), RetryCause.TIME_OUT),
        (failure(StepFailed.code, "Connection reset by peer"), RetryCause.TRANSIENT),
        (failure(StepFailed.code, "MemoryError"), RetryCause.MEMORY),
        (failure(StepFailed.code, "MemoryError\n[max_memory allows each process of a command 64MiB]"), None),
        (failure(StepFailed.code, "No space left on device"), RetryCause.DISK),
        (failure(StepFailed.code, "cat: a.txt: No such file or directory"), None),
        (failure(StepFailed.code), None),
        (failure("unheard_of"), None),
    ],
)
def test_only_failures_that_another_attempt_may_mend_have_a_cause(
    failed: Classification, cause: RetryCause | None
) -> None:
    assert retry_cause(failed) is cause


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        (RetryStrategy.NONE, [None, None, None, None]),
        (RetryStrategy.IMMEDIATE, [0.0, 0.0, 0.0, None]),
        (RetryStrategy.FIXED, [2.0, 2.0, 2.0, None]),
        (RetryStrategy.EXPONENTIAL, [2.0, 4.0, 5.0, None]),
    ],
)
def test_each_strategy_has_its_delays(strategy: RetryStrategy, delays: list[float | None]) -> None:
    policy = RetryPolicy(strategy=strategy, attempts=4, delay=2, maximum=5)
    assert [policy.delay_after(attempt, LOST, jitter=0) for attempt in range(1, 5)] == delays


def test_a_failure_of_another_class_is_not_tried_again() -> None:
    policy = RetryPolicy(on=(RetryCause.TIME_OUT,))
    assert policy.delay_after(1, LOST, jitter=0) is None
    assert policy.delay_after(1, failure(StepTimedOut.code), jitter=0) is not None


@pytest.mark.parametrize("cause", ["MemoryError", "No space left on device"])
def test_what_ran_out_of_memory_or_disk_is_tried_again_only_where_that_is_allowed(cause: str) -> None:
    exhausted = failure(StepFailed.code, cause)
    assert RetryPolicy().delay_after(1, exhausted, jitter=0) is None
    allowed = RetryPolicy(on=(RetryCause.MEMORY, RetryCause.DISK))
    assert allowed.delay_after(1, exhausted, jitter=0) is not None


def test_a_time_out_is_tried_again_when_it_may_take_longer() -> None:
    timed_out = failure(StepTimedOut.code)
    assert RetryPolicy().delay_after(1, timed_out, jitter=0) is None
    assert RetryPolicy(time_factor=2).delay_after(1, timed_out, jitter=0) is not None


@given(st.integers(1, 19), st.floats(0, 1), st.floats(0, 1000), st.floats(0, 1000))
def test_jitter_only_shortens_and_by_half_at_most(attempt: int, jitter: float, delay: float, maximum: float) -> None:
    policy = RetryPolicy(attempts=20, delay=delay, maximum=maximum)
    whole, jittered = (policy.delay_after(attempt, LOST, jitter=amount) for amount in (0.0, jitter))
    assert whole is not None
    assert jittered is not None
    assert whole / 2 <= jittered <= whole <= maximum
