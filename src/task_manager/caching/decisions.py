"""Whether the cache is asked for a run, and whether it keeps what a run gave."""

from __future__ import annotations

from dataclasses import dataclass

from task_manager.cache_policy import CacheMode, WorkflowCachePolicy
from task_manager.config.settings import CacheSettings
from task_manager.models import Workflow, WorkflowRun
from task_manager.pipeline import CachePolicy
from task_manager.workflow_status import Reason, WorkflowStatus

_KEPT_FAILURES = frozenset({"step_failed"})
"""Failures that say something of the work; any other may go well the next time."""


@dataclass(frozen=True)
class Refusal:
    """Why not.

    Attributes:
        code: A stable name.
        text: The same in a sentence.
    """

    code: str
    text: str


def policy_of(workflow: Workflow) -> WorkflowCachePolicy:
    """What the workflow's definition says."""
    return (workflow.pipeline.cache if workflow.pipeline else None) or WorkflowCachePolicy()


def why_no_key(workflow: Workflow, settings: CacheSettings) -> Refusal | None:
    """Why nothing of a workflow's runs is looked up or kept; none where it is."""
    mode = policy_of(workflow).mode
    if not settings.enabled:
        return Refusal("disabled", "The cache is switched off: cache.enabled = false.")
    if mode is CacheMode.NEVER:
        return Refusal("policy_never", "The workflow says that its results are not used again.")
    if mode is CacheMode.ALWAYS:
        return None
    if workflow.pipeline is None:
        return Refusal("function", "What a function does beside its result is not known, so it is always called.")
    changing = [step.id for step in workflow.pipeline.steps if step.cache is CachePolicy.NEVER]
    if changing:
        return Refusal("non_deterministic", f"Runs anew each time, because {', '.join(changing)} has cache: never.")
    return None


def why_not_asked(run: WorkflowRun) -> Refusal | None:
    """Why a run is executed whatever the cache has; none where it is asked."""
    if run.skip_cache:
        return Refusal("skip_cache", "The run was started with skip_cache.")
    if run.rerun_of is not None:
        return Refusal("rerun", f"It repeats run {run.rerun_of}.")
    if run.attempt > 1:
        return Refusal("retry", f"It is attempt {run.attempt}.")
    return None


def why_not_kept(
    policy: WorkflowCachePolicy,
    settings: CacheSettings,
    *,
    status: WorkflowStatus,
    reason: Reason | None,
    seconds: float,
    branch: str | None,
) -> Refusal | None:
    """Why a run's result is not kept; none where it is.

    Args:
        policy: Of the workflow.
        settings: Of the cache.
        status: How the run ended.
        reason: Why.
        seconds: How long it took.
        branch: The git branch of its source folder; none without one.
    """
    least = settings.longer_than if policy.longer_than is None else policy.longer_than
    if settings.read_only:
        return Refusal("read_only", "Results are looked up only: cache.read_only = true.")
    if status is not WorkflowStatus.SUCCEEDED and not _is_kept_failure(policy, status, reason):
        return Refusal("not_succeeded", "Only results of successful runs are kept.")
    if seconds <= least and least > 0:
        return Refusal("too_short", f"It took {seconds:.1f} s; what takes {least:g} s or less is not kept.")
    if policy.branches and branch not in policy.branches:
        where = f"branch {branch}" if branch else "no branch"
        return Refusal("branch", f"It ran on {where}; kept is what runs on {', '.join(policy.branches)}.")
    return None


def _is_kept_failure(policy: WorkflowCachePolicy, status: WorkflowStatus, reason: Reason | None) -> bool:
    failed = status is WorkflowStatus.FAILED and reason is not None and reason.code in _KEPT_FAILURES
    return failed and policy.failures > 0
