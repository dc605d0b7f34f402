"""The way to the engine: sessions, the containers in them, and the circuit breaker around every call.

`DaggerCommunicationManager` is what the rest of the package uses.
"""

from task_manager.communication.breaker import BreakerState
from task_manager.communication.containers import ContainerKind, ContainerRecord, ContainerRegistry, ContainerState
from task_manager.communication.held_files import ContainerSpec, HostMount
from task_manager.communication.manager import DaggerCommunicationManager, EngineStatus
from task_manager.communication.sessions import EngineKind, EngineSession

__all__ = [
    "BreakerState",
    "ContainerKind",
    "ContainerRecord",
    "ContainerRegistry",
    "ContainerSpec",
    "ContainerState",
    "DaggerCommunicationManager",
    "EngineKind",
    "EngineSession",
    "EngineStatus",
    "HostMount",
]
