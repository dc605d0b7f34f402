"""The value of a secret that steps print is nowhere in what is kept of a run."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from task_manager.artifacts import run_folder
from task_manager.models import Artifact
from task_manager.store import events
from tests.integration.conftest import OpenWorkshop, Workshop

CANARY = "canary-7f3a9-value"

SAYS = """
printf '%s\\n' "it is $TOKEN"
printf '%s' "${TOKEN%-value}"; sleep 0.3; printf '%s\\n' -value
printf '%s' "$TOKEN" | base64
printf 'user:%s' "$TOKEN" | base64 >&2
printf 'x%s\\n' "$TOKEN" | base64 -w0
"""
PRINTS = (
    SAYS
    + """
echo "$TOKEN" > report.txt
printf '<testsuite tests="1"><testcase name="a"><failure message="%s"/></testcase></testsuite>' "$TOKEN" > junit.xml
"""
)
OUTPUTS = [
    {"name": "report", "path": "report.txt"},
    {"name": "junit", "path": "junit.xml"},
    {"name": "printed", "type": "stdout"},
]


def forms() -> list[bytes]:
    """The value, and what of its base64 depends on it alone, wherever it begins."""
    encoded = [base64.b64encode(b"\0" * before + CANARY.encode())[4:-4] for before in range(3)]
    return [CANARY.encode(), *encoded]


async def kept_bytes(shop: Workshop, artifacts: tuple[Artifact, ...], tmp_path: Path) -> dict[str, bytes]:
    """All that is kept: the database, logs, artifacts, and whatever else is in the data folder."""
    store = shop.integration.store
    found = {str(path): path.read_bytes() for path in store.data_dir.rglob("*") if _is_kept(path, store.data_dir)}
    for one in artifacts:
        found[one.name] = await shop.integration.artifacts.read(one.digest, limit=10**9)
    pages = await store.run(events.after, 0, limit=500)
    found["events"] = "".join(event.model_dump_json() for event in pages).encode()
    return found


def _is_kept(path: Path, data_dir: Path) -> bool:
    return path.is_file() and not path.is_symlink() and "engine" not in path.relative_to(data_dir).parts


@pytest.mark.parametrize("code", [0, 3])
async def test_a_secret_that_a_step_prints_is_kept_nowhere(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    async with workshop() as shop:
        state = await shop.run_steps(
            {
                "id": "tell",
                "image": busybox_image,
                "command": ["sh", "-c", f"{PRINTS}\nexit {code}"],
                "secrets": {"TOKEN": "env:CANARY"},
                "outputs": OUTPUTS,
            }
        )
        assert {one.name for one in state.artifacts} == {"tell/report", "tell/junit", "tell/printed"}
        log = run_folder(shop.integration.store.data_dir, state.run.id) / "tell" / "stdout.log"
        assert log.read_text().startswith("it is ***\n***\n***")
        hits = [
            (place, form)
            for place, content in (await kept_bytes(shop, state.artifacts, tmp_path)).items()
            for form in forms()
            if form in content
        ]
        assert hits == []


async def test_a_secret_that_is_printed_is_not_in_the_engines_folder_either(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What commands write into files of their containers is in the layers, as they left it."""
    monkeypatch.setenv("CANARY", CANARY)
    async with workshop(data_dir=tmp_path / "data") as shop:
        for code in (0, 3):
            command = ["sh", "-c", f"{SAYS}\nexit {code}"]
            step = {"id": "tell", "image": busybox_image, "command": command, "secrets": {"TOKEN": "env:CANARY"}}
            await shop.run_steps({**step, "outputs": [OUTPUTS[-1]]}, title=f"Ends with {code}")
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("engine" in path.parts and path.name == "stdout" for path in files)
    kept = {path: path.read_bytes() for path in files}
    assert [(path, form) for path, content in kept.items() for form in forms() if form in content] == []


async def test_a_file_that_is_no_text_and_has_a_secret_is_not_kept(
    workshop: OpenWorkshop, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    async with workshop() as shop:
        state = await shop.run_steps(
            {
                "id": "tell",
                "image": busybox_image,
                "command": ["sh", "-c", "printf '\\0%s' \"$TOKEN\" > model.bin"],
                "secrets": {"TOKEN": "env:CANARY"},
                "outputs": [{"name": "model", "path": "model.bin"}],
            }
        )
        assert state.artifacts == ()
        assert state.run.reason is not None
        assert "The output tell/model was not kept" in state.run.reason.text
        data_dir = shop.integration.store.data_dir
        left = [path for path in data_dir.rglob("*.bin") if _is_kept(path, data_dir)]
        assert left == []
