"""The error tree: every error this package raises on purpose.

Foreign errors are translated into this tree once, at the border where they appear, with `from`::

    TaskManagerError
    ├── InvalidInput                    what was given cannot be used (command line: exit code 2)
    │   ├── NotFound                    no project, task, template, run … of that id
    │   ├── NameTaken                   another record has the name already
    │   ├── InvalidConfiguration        a setting, or the file it came from
    │   ├── InvalidTemplate             a template's own file
    │   ├── InvalidParameters           values given for a template's parameters
    │   ├── InvalidPipeline             a definition that validation refuses, with all its findings
    │   ├── DependencyCycle             tasks that wait for each other
    │   ├── DependenciesNotMet          a task whose dependencies have not succeeded
    │   ├── WorkflowTypeConflict        another workflow type than the current workflow's
    │   ├── SourceNotFound              a source folder or file that is missing or outside its root
    │   └── InvalidSignature            a webhook that was not signed with a known secret
    ├── Conflict                        somebody else changed the record first
    │   └── RunTaken                    … and executes the run
    ├── WorkerError                     a worker that cannot be started, stopped or had
    ├── InvalidTransition               a status change that the table does not allow
    ├── StoreError                      the database or the data folder
    │   ├── StoreUnwritable             no permission, read-only, or not a folder
    │   ├── StoreFull                   no space left
    │   └── StoreVersionMismatch        written by another version of this software
    ├── ArtifactError                   the artifact store
    │   ├── ArtifactStoreUnavailable    it cannot be reached, read or written
    │   ├── ArtifactMissing             content that is not in it
    │   └── ArtifactDamaged             content that is not what was stored
    ├── EngineError                     the containers' side (command line: exit code 3)
    │   ├── EngineUnavailable           no engine could be started or reached
    │   ├── EngineLost                  the engine went away while it worked
    │   ├── EngineCircuitOpen           calls are held back after repeated failures
    │   ├── ImageUnavailable            an image that cannot be had
    │   │   └── RegistryUnreachable     … because its registry does not answer
    │   └── MissingPrograms             the host's toolchain lacks what a step needs
    ├── StepError                       a step's own end
    │   ├── StepFailed                  its command ended with a code other than 0
    │   └── StepTimedOut                it ran longer than its limit
    ├── TransformationFailed            a result that cannot be brought into a form
    └── OutputInvalid                   a step's output that is missing or not what its type asks for
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import ClassVar


class TaskManagerError(Exception):
    """The root of the tree.

    Attributes:
        code: A stable name for machines, in snake case; one per class.
        message: What was wrong and where, one or more sentences.
        remedy: What to do next; empty when there is nothing to say.
        details: JSON-like facts for machines (ids, paths, findings).
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, remedy: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details: dict[str, object] = dict(details or {})

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-like data: code, message, remedy, details."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "details": self.details}


class InvalidInput(TaskManagerError):
    """What was given cannot be used; nothing was changed."""

    code = "invalid_input"


_FEW = 8
"""So many names are told in full to somebody who asked for one that is not there."""

_REPEATED = 200
"""So many characters of a name that is not there are repeated: as many as a name has."""

_LISTED = ("project", "task", "template", "run", "trigger", "schedule", "hook", "container", "token")
"""Kinds that `task-manager KIND list` lists."""


class NotFound(InvalidInput):
    """No record of that kind has that id."""

    code = "not_found"

    def __init__(
        self, kind: str, identifier: str, *, known: Iterable[str] = (), names: Iterable[str] = (), remedy: str = ""
    ) -> None:
        """Name what is missing, and what is near.

        Args:
            kind: What was looked for, such as `task`.
            identifier: The id or name that was given; of a long one, the beginning is repeated.
            known: Ids or names that exist; the closest are offered, or all of them when they are few.
            names: Of those that are known, what people call them, where they have ids as well.
            remedy: What to do next; by default what there is instead, or how to see that.
        """
        exist = list(known)
        wanted = identifier if len(identifier) <= _REPEATED else f"{identifier[: _REPEATED - 1]}…"
        near = near_misses(wanted, exist)
        super().__init__(
            f"There is no {kind} {wanted!r}.",
            remedy=remedy or _what_there_is(near, list(names) or exist) or _how_to_see(kind),
            details={"kind": kind, "id": wanted, "near": near},
        )


class NameTaken(InvalidInput):
    """Another record has that name; `details["id"]` names it."""

    code = "name_taken"


class InvalidConfiguration(InvalidInput):
    """A setting that cannot be used."""

    code = "invalid_configuration"


class InvalidTemplate(InvalidInput):
    """A template file that cannot be loaded."""

    code = "invalid_template"


class InvalidParameters(InvalidInput):
    """Values that do not fit a template's parameters."""

    code = "invalid_parameters"


class InvalidPipeline(InvalidInput):
    """A pipeline definition that validation refuses; `details["findings"]` has every finding with its place."""

    code = "invalid_pipeline"


class DependencyCycle(InvalidInput):
    """Tasks that depend on each other in a circle; `details["cycle"]` names them in order."""

    code = "dependency_cycle"


class DependenciesNotMet(InvalidInput):
    """A task whose dependencies have not succeeded yet; `details["waiting_for"]` names them."""

    code = "dependencies_not_met"


class WorkflowTypeConflict(InvalidInput):
    """The asked workflow type contradicts the workflow's own."""

    code = "workflow_type_conflict"


class SourceNotFound(InvalidInput):
    """A source that does not exist or lies outside the folder that it must lie in."""

    code = "source_not_found"


class InvalidSignature(InvalidInput):
    """A webhook that was not signed with a known secret, or too long ago."""

    code = "invalid_signature"


class Conflict(TaskManagerError):
    """The record was changed by somebody else since it was read; read it again and repeat."""

    code = "conflict"


class RunTaken(Conflict):
    """Another worker executes the run, because the one that did was taken for dead."""

    code = "run_taken"


class WorkerError(TaskManagerError):
    """A worker cannot be started or stopped, or another one has its place."""

    code = "worker_error"


class InvalidTransition(TaskManagerError):
    """A change of status that the table does not allow; nothing was changed."""

    code = "invalid_transition"


class StoreError(TaskManagerError):
    """The database or the data folder cannot be used."""

    code = "store_error"


class StoreUnwritable(StoreError):
    """The data folder or database cannot be written."""

    code = "store_unwritable"


class StoreFull(StoreError):
    """The disk has no space left; what was being written was not kept."""

    code = "store_full"


class StoreVersionMismatch(StoreError):
    """The database was written by another version of this software."""

    code = "store_version_mismatch"


class ArtifactError(TaskManagerError):
    """The artifact store."""

    code = "artifact_error"


class ArtifactStoreUnavailable(ArtifactError):
    """The artifact store cannot be reached, read or written."""

    code = "artifact_store_unavailable"


class ArtifactMissing(ArtifactError):
    """The artifact store has no such content."""

    code = "artifact_missing"


class ArtifactDamaged(ArtifactError):
    """What the artifact store has is not what was stored."""

    code = "artifact_damaged"


class EngineError(TaskManagerError):
    """The engine's side failed, not the user's command."""

    code = "engine_error"


class EngineUnavailable(EngineError):
    """No engine could be started or reached."""

    code = "engine_unavailable"


class EngineLost(EngineError):
    """The engine went away while it was working."""

    code = "engine_lost"


class EngineCircuitOpen(EngineError):
    """Engine calls are held back for a while after repeated connection failures."""

    code = "engine_circuit_open"


class ImageUnavailable(EngineError):
    """An image that its registry refuses or does not have."""

    code = "image_unavailable"


class RegistryUnreachable(ImageUnavailable):
    """An image's registry does not answer."""

    code = "registry_unreachable"


class MissingPrograms(EngineError):
    """Programs that a step needs and the host's toolchain does not have."""

    code = "missing_programs"


class StepError(TaskManagerError):
    """A step ended otherwise than well."""

    code = "step_error"


class StepFailed(StepError):
    """A step's command ended with a code other than 0; `details` has step, exit_code and the last lines."""

    code = "step_failed"


class StepTimedOut(StepError):
    """A step ran longer than its limit and was stopped."""

    code = "step_timed_out"


class TransformationFailed(TaskManagerError):
    """A result cannot be brought into a form."""

    code = "transformation_failed"


class OutputInvalid(TaskManagerError):
    """A step's output is missing or is not what its type asks for."""

    code = "output_invalid"


def _what_there_is(near: Sequence[str], exist: Sequence[str]) -> str:
    if near:
        return f"Did you mean {', '.join(near)}?"
    return f"There is: {', '.join(exist)}." if 0 < len(exist) <= _FEW else ""


def _how_to_see(kind: str) -> str:
    return f"See what there is: task-manager {kind} list." if kind in _LISTED else ""


def near_misses(word: str, known: Iterable[str], limit: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known words most like `word`, best first, at most `limit`, at least `cutoff` (0 to 1) like it."""
    return get_close_matches(word, sorted(set(known)), n=limit, cutoff=cutoff)
