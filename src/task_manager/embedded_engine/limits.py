"""How much a command may take of the machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from task_manager.embedded_engine.quantities import format_size

# What strerror(3) says, and language runtimes in their own words, where no process can be started or memory had.
_NO_PROCESS = ("resource temporarily unavailable", "unable to create native thread", "can't start new thread")
_NO_MEMORY = ("cannot allocate memory", "memoryerror", "out of memory", "bad_alloc")


@dataclass(frozen=True)
class CommandLimits:
    """What one command may have; None for no limit.

    Attributes:
        processes: Processes and threads at once.
        memory: Bytes that each of its processes may allocate.
        output: Bytes that are kept of each stream that it writes.
    """

    processes: int | None = None
    memory: int | None = None
    output: int | None = None

    def of_sandbox(self) -> Mapping[str, int]:
        """Return the limits that the kernel holds a command to."""
        limits = {"processes": self.processes, "memory": self.memory}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def explained(self, stderr: str) -> str:
        """Return what a failed command wrote, and which limit it may have met according to that."""
        said, notes = stderr.lower(), [""]
        if self.processes is not None and any(words in said for words in _NO_PROCESS):
            notes.append(f"[max_processes allows a command {self.processes} processes and threads at once]")
        if self.memory is not None and any(words in said for words in _NO_MEMORY):
            notes.append(f"[max_memory allows each process of a command {format_size(self.memory)}]")
        return stderr + "\n".join(notes)
