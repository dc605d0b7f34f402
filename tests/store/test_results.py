"""Results are found by project, task, type and metric, page by page."""

from __future__ import annotations

import pytest

from task_manager.errors import InvalidInput
from task_manager.pipeline import ResultType
from task_manager.results.conditions import MetricCondition
from task_manager.store import Store, results
from task_manager.store.results import ResultFilter
from tests.store.builders import stored_run, stored_workflow


def a_result(run_id: str, accuracy: float) -> dict[str, object]:
    return {"run_id": run_id, "metrics": [{"name": "accuracy", "value": accuracy}]}


def found(store: Store, where: ResultFilter, limit: int = 50, cursor: str | None = None) -> list[str]:
    return [one["run_id"] for one in store.run_sync(results.list_, where, limit=limit, cursor=cursor).items]


def test_results_are_found_by_what_they_are_about(store: Store) -> None:
    first, second = stored_workflow(store), stored_workflow(store, result_type=ResultType.ML_TRAINING)
    mine, other = stored_run(store, first), stored_run(store, second)
    for run, accuracy in ((mine, 0.5), (other, 0.95)):
        store.run_sync(results.put, run.id, a_result(run.id, accuracy))
    assert found(store, ResultFilter()) == [other.id, mine.id]
    assert found(store, ResultFilter(project_id=mine.project_id)) == [mine.id]
    assert found(store, ResultFilter(task_id=other.task_id)) == [other.id]
    assert found(store, ResultFilter(result_type=ResultType.ML_TRAINING)) == [other.id]
    assert found(store, ResultFilter(result_type=ResultType.BUILD)) == []
    assert found(store, ResultFilter(metric=MetricCondition.parse("accuracy>0.9"))) == [other.id]
    assert found(store, ResultFilter(metric=MetricCondition.parse("loss"))) == []


def test_pages_go_on_where_the_one_before_ended(store: Store) -> None:
    workflow = stored_workflow(store)
    all_runs = [stored_run(store, workflow) for _ in range(7)]
    for number, run in enumerate(all_runs):
        store.run_sync(results.put, run.id, a_result(run.id, number))
    where = ResultFilter(metric=MetricCondition.parse("accuracy>=2"))
    seen, cursor = [], None
    while True:
        page = store.run_sync(results.list_, where, limit=2, cursor=cursor)
        seen += [one["run_id"] for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [run.id for run in reversed(all_runs[2:])]
    with pytest.raises(InvalidInput):
        found(store, where, limit=0)
    with pytest.raises(InvalidInput):
        found(store, where, cursor="nonsense")
