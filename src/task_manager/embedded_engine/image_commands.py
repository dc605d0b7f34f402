"""`task-manager-engine image-digest`: which image a reference names now, without a session."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from task_manager.embedded_engine.errors import ApiError, RegistryUnreachableError
from task_manager.embedded_engine.images.layout import Layout
from task_manager.embedded_engine.images.references import LAYOUT_SCHEME, parse_layout_reference, parse_reference
from task_manager.embedded_engine.images.sources import RegistrySettings

if TYPE_CHECKING:
    from task_manager.embedded_engine.config import EngineConfig
    from task_manager.embedded_engine.images.registry import RegistryClient


def add_image_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> list[argparse.ArgumentParser]:
    """Add `image-digest`; return its parser."""
    digest = commands.add_parser(
        "image-digest",
        help="print which images references name now",
        allow_abbrev=False,
        description="Print a JSON object with, for each reference, its form with a digest, or the kind of its error.",
    )
    digest.add_argument("references", nargs="+", metavar="IMAGE")
    digest.set_defaults(run=_digests)
    return [digest]


def _digests(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.config import load_config

    config = load_config(options.config, options.state_dir, os.environ)
    sys.stdout.write(json.dumps(asyncio.run(_resolve(config, options.references))) + "\n")
    return 0


async def _resolve(config: "EngineConfig", references: Sequence[str]) -> dict[str, dict[str, str]]:
    from task_manager.embedded_engine.images.registry import RegistryClient

    settings = RegistrySettings(config.mirrors, config.insecure, config.connect_timeout, config.pull_timeout)
    client = RegistryClient(settings)
    try:
        answers = await asyncio.gather(*(_answer(client, text) for text in references))
    finally:
        await client.close()
    return dict(zip(references, answers, strict=True))


async def _answer(client: "RegistryClient", text: str) -> dict[str, str]:
    try:
        return {"digest": await _pinned(client, text)}
    except RegistryUnreachableError as error:
        return {"error": "unreachable", "message": str(error)}
    except ApiError as error:
        return {"error": "unavailable", "message": str(error)}


async def _pinned(client: "RegistryClient", text: str) -> str:
    if text.startswith(LAYOUT_SCHEME):
        layout = parse_layout_reference(text.partition("@")[0])
        manifest = await Layout(layout).manifest(text.partition("@")[2] or layout.tag)
        return f"{text.partition('@')[0]}@{manifest.digest}"
    reference = parse_reference(text)
    manifest = await client.repository(reference).manifest(reference.target)
    return reference.pinned(manifest.digest)
