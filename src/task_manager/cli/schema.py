"""`task-manager schema`: the JSON Schemas of what is read and written."""

from __future__ import annotations

import typer

from task_manager.cli.choices import ResultTypeName
from task_manager.cli.command import command, group
from task_manager.cli.session import Session


def add_commands(app: typer.Typer) -> None:
    """Add the group `schema`."""
    schema = group(app, "schema", "Print the JSON Schemas of results and of pipelines' definitions.")
    command(schema, "result", example="task-manager schema result test_report")(result)
    command(schema, "pipeline", example="task-manager schema pipeline > pipeline.schema.json")(pipeline)


async def result(session: Session, result_type: ResultTypeName) -> None:
    """Print the JSON Schema of results of a type."""
    from task_manager.pipeline import ResultType
    from task_manager.results.schemas import result_schema

    session.output.document(result_schema(ResultType(result_type)))


async def pipeline(session: Session) -> None:
    """Print the JSON Schema of definitions of pipelines."""
    from task_manager.pipeline import Pipeline

    session.output.document(Pipeline.model_json_schema())
