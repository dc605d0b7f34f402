"""Carrying attempts of runs out, each by one process at a time, also when a process ends on the way."""

from task_manager.orchestration.in_process import InProcessOrchestrator
from task_manager.orchestration.protocol import Attempt, CarryOut, Orchestrator

__all__ = ["Attempt", "CarryOut", "InProcessOrchestrator", "Orchestrator"]
