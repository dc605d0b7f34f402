"""Prompts: ways from a wish to a verified result, each short."""

# Without the future import: it would give string arguments a description as JSON Schema.
from typing import Any

from mcp.server.mcpserver import MCPServer


def add_prompts(server: MCPServer[Any]) -> None:
    """Register the prompts on a server."""

    @server.prompt(title="Plan a project into tasks")
    def plan_project(goal: str, project_id: str = "") -> str:
        """Turn a goal into tasks that containers carry out and check."""
        where = f" in the project {project_id}" if project_id else ""
        return (
            f"Plan this goal{where}: {goal}\n\n"
            "1. list_workflow_templates, and get_workflow_template for those that fit.\n"
            "2. Cut the goal into tasks whose success a container can check; name what each comes `after`.\n"
            "3. create_plan with all of them, then create_workflows_for_project to see that each can be run.\n"
            "4. Show the plan and what will be run before you run it."
        )

    @server.prompt(title="Run and fix until green")
    def run_until_green(task_id: str) -> str:
        """Run a task, and mend what is wrong until it succeeds."""
        return (
            f"Make the task {task_id} succeed.\n\n"
            "1. execute_task_workflow, then wait_for_run until over is true.\n"
            "2. Failed: get_run_diagnosis. Mend the cause in the source folder, or the inputs with update_task; never "
            "the check itself. Then execute again.\n"
            "3. Stop after five failures of the same kind, and say what you tried.\n"
            "4. Succeeded: report the headline and metrics of get_run_result, nothing else."
        )

    @server.prompt(title="Diagnose a failed run")
    def diagnose_run(run_id: str) -> str:
        """Say why a run failed, with evidence, without changing anything."""
        return (
            f"Say why the run {run_id} failed.\n\n"
            "1. get_run_diagnosis: the step, the reason, what changed since the last success.\n"
            "2. get_run_logs of that step, if its lines do not explain it (through more_tools).\n"
            "3. Answer with the cause, the lines that prove it, and the smallest change that mends it. Change nothing."
        )
