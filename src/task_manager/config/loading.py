"""Where settings come from, and which source wins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from task_manager.config.masking import SECRET_NAME, masked
from task_manager.config.settings import ENGINE_FILE_SETTINGS, GROUPS, PATHS, Settings, setting_names
from task_manager.documents import Document, place_text, read_document
from task_manager.errors import InvalidConfiguration, near_misses
from task_manager.model_findings import ModelFinding, model_findings

PROJECT_FILE = "task-manager.toml"
ENVIRONMENT_PREFIX = "TASK_MANAGER_"

_CLOSE_NAME = 0.85
_NOT_SETTINGS = frozenset({"debug"})


def environment_name(setting: str) -> str:
    """The environment variable of a setting: `TASK_MANAGER_LIMITS_OUTPUT_BYTES` for `limits.output_bytes`."""
    return ENVIRONMENT_PREFIX + setting.replace(".", "_").upper()


@dataclass(frozen=True)
class _Given:
    """A value as one source has it."""

    setting: str
    value: object
    origin: str


def load_settings(
    arguments: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[Settings, Mapping[str, str]]:
    """Bring all sources together.

    Args:
        arguments: Values that win, by setting (`engine`, `limits.output_bytes`); None means not given.
        environ: The environment; by default this process's.
        folder: Where `task-manager.toml` is looked for and relative paths start; by default the working folder.

    Returns:
        The settings, and for each of `setting_names()` where its value came from: `default`, `argument`,
        `environment NAME`, `file PATH:LINE`.

    Raises:
        InvalidConfiguration: Values that cannot be used, all of them, each with setting, origin, what is expected
            and what was given; unknown names; a file that is missing or broken.
    """
    folder = (folder or Path.cwd()).absolute()
    environment = os.environ if environ is None else environ
    given = {
        **_by_setting(_from_project_file(folder)),
        **_by_setting(_from_environment(environment, folder)),
        **_by_setting(_from_arguments(arguments or {}, folder)),
    }
    config_path = given.get("dagger_config_path")
    if config_path is not None:
        above = {name: item for name, item in given.items() if not item.origin.startswith("file ")}
        given |= _by_setting(_from_engine_file(config_path)) | above
    settings = _validated(given)
    return settings, {name: given[name].origin if name in given else "default" for name in setting_names()}


def _by_setting(given: Iterator[_Given]) -> dict[str, _Given]:
    return {item.setting: item for item in given}


def _from_arguments(arguments: Mapping[str, object], folder: Path) -> Iterator[_Given]:
    for name, value in arguments.items():
        if value is not None:
            yield from _leaves(name, value, lambda _: "argument", folder)


def _from_environment(environ: Mapping[str, str], folder: Path) -> Iterator[_Given]:
    names = {environment_name(setting): setting for setting in setting_names()}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or not text:
            continue
        if variable in names:
            setting = names[variable]
            yield _Given(setting, _located(setting, _decoded(text), folder), f"environment {variable}")
        elif variable.removeprefix(ENVIRONMENT_PREFIX).lower() not in _NOT_SETTINGS:
            _refuse_misspelt(variable, names)


def _refuse_misspelt(variable: str, names: Mapping[str, str]) -> None:
    """Other programs may have variables with our prefix, so only one that is nearly a setting's is refused."""
    bare = {name.removeprefix(ENVIRONMENT_PREFIX): name for name in names}
    near = near_misses(variable.removeprefix(ENVIRONMENT_PREFIX), bare, cutoff=_CLOSE_NAME)
    if near:
        raise InvalidConfiguration(
            f"The environment variable {variable} is no setting.",
            remedy=f"Did you mean {', '.join(bare[name] for name in near)}?",
            details={"setting": variable, "origin": f"environment {variable}"},
        )


def _decoded(text: str) -> object:
    if text[0] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _from_project_file(folder: Path) -> Iterator[_Given]:
    path = next((base / PROJECT_FILE for base in _search_folders(folder) if (base / PROJECT_FILE).is_file()), None)
    if path is not None:
        yield from _from_document(read_document(path, InvalidConfiguration), frozenset(Settings.model_fields))


def _search_folders(folder: Path) -> tuple[Path, ...]:
    root = next((base for base in (folder, *folder.parents) if (base / ".git").exists()), folder)
    return folder, root


def _from_engine_file(config_path: _Given) -> Iterator[_Given]:
    if not isinstance(config_path.value, Path):
        return  # the validation of the settings refuses it
    try:
        document = read_document(config_path.value, InvalidConfiguration)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(
            f"{error.message} dagger_config_path names it ({config_path.origin}).",
            remedy="Correct the file or the setting.",
            details={**error.details, "setting": "dagger_config_path", "origin": config_path.origin},
        ) from error
    yield from _from_document(document, ENGINE_FILE_SETTINGS)


def _from_document(document: Document, allowed: frozenset[str]) -> Iterator[_Given]:
    for name, value in document.data.items():
        origin = f"file {document.locate((name,))}"
        if name in Settings.model_fields and name not in allowed:
            raise InvalidConfiguration(
                f"{name} cannot be set in this file ({origin}); it takes {', '.join(sorted(allowed))}.",
                remedy=f"Set {environment_name(name)}, or set it in {PROJECT_FILE}.",
                details={"setting": name, "origin": origin},
            )

        def place(leaf: str) -> str:
            return f"file {document.locate(tuple(leaf.split('.')))}"

        yield from _leaves(name, value, place, document.path.parent)


def _leaves(name: str, value: object, origin: Callable[[str], str], folder: Path) -> Iterator[_Given]:
    """A group's values one by one, so that sources may each set a part of it."""
    if name in GROUPS:
        if not isinstance(value, Mapping):
            raise InvalidConfiguration(
                f"{name} ({origin(name)}): expected a mapping of {', '.join(GROUPS[name].model_fields)}; "
                f"given {_shown(name, value)}.",
                details={"setting": name, "origin": origin(name)},
            )
        for part, inner in value.items():
            yield from _leaves(f"{name}.{part}", inner, origin, folder)
        return
    if name not in setting_names():
        near = near_misses(name, setting_names())
        raise InvalidConfiguration(
            f"There is no setting {name!r} ({origin(name)}).",
            remedy=f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(setting_names())}.",
            details={"setting": name, "origin": origin(name), "near": near},
        )
    yield _Given(name, _located(name, value, folder), origin(name))


def _located(setting: str, value: object, folder: Path) -> object:
    if setting in PATHS and isinstance(value, str | Path) and str(value):
        try:
            return folder / Path(value).expanduser()
        except RuntimeError:  # a home folder of an unknown user
            return folder / Path(value)
    return value


def _validated(given: Mapping[str, _Given]) -> Settings:
    nested: dict[str, Any] = {}
    for name, item in given.items():
        group, _, leaf = name.partition(".")
        if leaf:
            nested.setdefault(group, {})[leaf] = item.value
        else:
            nested[name] = item.value
    try:
        return Settings.model_validate(nested)
    except ValidationError as cause:
        raise _refused(model_findings(cause, Settings, nested), given) from cause


def _refused(found: Iterable[ModelFinding], given: Mapping[str, _Given]) -> InvalidConfiguration:
    findings = [_described(finding, given) for finding in found]
    lines = [f"{f['place']} ({f['origin']}): expected {f['expected']}; given {f['given']}." for f in findings]
    return InvalidConfiguration(
        "\n".join(lines),
        remedy="`task-manager config show` lists the settings and where each value comes from.",
        details={**findings[0], "findings": findings},
    )


def _described(finding: ModelFinding, given: Mapping[str, _Given]) -> dict[str, str]:
    place = finding.place
    group = str(place[0])
    setting = f"{group}.{place[1]}" if group in GROUPS and len(place) > 1 else group
    return {
        "setting": setting,
        "place": place_text(place),
        "origin": given[setting].origin if setting in given else "default",
        "expected": finding.expected,
        "given": _shown(str(place[-1]), finding.value),
    }


def _shown(name: str, value: object) -> str:
    shown = "***" if SECRET_NAME.search(name) else masked(str(value) if isinstance(value, Path) else value)
    return repr(shown)
