"""Projects, tasks, templates, statistics and settings, as somebody uses them in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from task_manager.models import utc_now
from task_manager.store import Store, projects, tasks
from tests.browser.conftest import Visit
from tests.browser.dashboard_server import DashboardServer, shell
from tests.browser.looking import PHONE
from tests.store.builders import a_project

GREEN = shell("greet", "echo hello")


@pytest.fixture(scope="module")
def shop(server: DashboardServer) -> str:
    """The id of a project with three tasks; two of them have run."""
    project: str = server.made("projects", name="Shop", description="Sells things.")["id"]
    first = server.task("Prepare", project, GREEN)["id"]
    pipeline = {"steps": [shell("fail", "exit 3")]}
    server.made("tasks", title="Check", project_id=project, pipeline=pipeline, dependencies=[first])
    server.task("Idle", project, GREEN)
    for run in server.api.post(f"/projects/{project}/runs", json={}).json()["items"]:
        server.ended(run["id"])
    return project


def test_a_project_and_a_task_are_made_run_and_seen_live_on_board_and_graph(
    visit: Visit, server: DashboardServer, tmp_path: Path
) -> None:
    visitor = visit()
    page = visitor.open("/projects/new")
    page.get_by_label("Source folder").fill(str(tmp_path / "nowhere"))
    page.get_by_role("button", name="Create project").click()
    expect(page.locator("#field-source-folder-problem")).to_contain_text("does not exist")
    page.get_by_label("Source folder").fill(str(tmp_path))
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Source folder")).to_have_value(str(tmp_path))
    visitor.picture("project-form-problems")
    page.get_by_label("Name").fill("Website")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Copy: task-manager task create"))).to_be_visible()

    page.get_by_role("link", name="New task").click()
    page.get_by_label("Title").fill("Say hello")
    page.get_by_label("Template").select_option("shell-command")
    page.get_by_label("script", exact=True).fill("echo hello")
    page.get_by_label("timeout").fill("soon")
    page.get_by_role("button", name="Create task").click()
    expect(page.locator("#field-input-timeout-problem")).to_contain_text("Expected a number")
    expect(page.get_by_label("timeout")).to_be_focused()
    expect(page.get_by_label("timeout")).to_be_in_viewport()
    visitor.picture("task-form-problems")
    page.get_by_label("timeout").fill("60")
    page.get_by_role("button", name="Create task").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Say hello")

    board = visit().open("/projects/Website")
    graph = visit().open("/projects/Website?view=graph")
    expect(board.locator("[data-column=todo] .board-card")).to_contain_text("Not run yet")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(board.locator("[data-column=done] .board-card")).to_contain_text("Succeeded")
    expect(graph.locator(".task-node")).to_contain_text("Succeeded")
    expect(page.get_by_role("table", name="Runs of this task")).to_contain_text("Succeeded")
    visitor.picture("task")


def test_what_was_typed_is_kept_when_somebody_else_was_quicker(
    visit: Visit, server: DashboardServer, shop: str
) -> None:
    task = server.task("Describe", shop, GREEN)
    page = visit().open(f"/tasks/{task['id']}/edit")
    page.get_by_label("Description").fill("mine")
    headers = {"If-Match": f'"{task["revision"]}"'}
    assert server.api.patch(f"/tasks/{task['id']}", json={"title": "Explain"}, headers=headers).is_success
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Describe → Explain")
    expect(page.get_by_label("Description")).to_have_value("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".about")).to_have_text("mine")
    # The title was not touched here: theirs stays.
    expect(page.get_by_role("heading", level=1)).to_have_text("Explain")


def test_cards_are_moved_by_dragging_and_by_their_menu(visit: Visit, shop: str) -> None:
    page = visit().open(f"/projects/{shop}")
    page.locator(".board-card").filter(has_text="Idle").drag_to(page.locator("[data-column=blocked]"))
    expect(page.locator("[data-column=blocked]")).to_contain_text("Idle")
    page.get_by_label("Status of Idle").select_option("todo")
    expect(page.locator("[data-column=todo]")).to_contain_text("Idle")


def test_what_another_process_changes_shows_up_without_reloading(
    visit: Visit, server: DashboardServer, shop: str
) -> None:
    page = visit().open(f"/projects/{shop}?view=list")
    list_of_projects = visit().open("/projects")
    with Store.open(server.data_dir) as other:
        task = other.run_sync(tasks.find, "Idle", shop)
        other.run_sync(tasks.update, task.evolve(title="Renamed elsewhere", updated_at=utc_now()))
        expect(page.get_by_role("row").filter(has_text="Renamed elsewhere")).to_be_visible()
        other.run_sync(tasks.update, other.run_sync(tasks.get, task.id).evolve(title="Idle", updated_at=utc_now()))
        expect(page.get_by_role("row").filter(has_text="Idle")).to_be_visible()
        other.run_sync(projects.insert, a_project(name="Made elsewhere"))
    expect(list_of_projects.get_by_role("link", name="Made elsewhere")).to_be_visible()


def test_views_and_filters_are_in_the_address(visit: Visit, shop: str) -> None:
    page = visit().open(f"/projects/{shop}?view=list&status=done")
    expect(page.get_by_role("row").filter(has_text="Prepare")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Check")).to_have_count(0)
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Graph").click()
    expect(page).to_have_url(re.compile(r"view=graph&status=done$"))
    page.get_by_label("Status", exact=True).select_option("")
    expect(page.locator(".task-node").filter(has_text="Check")).to_contain_text("depends on Prepare")


def test_a_project_is_paused_and_its_phases_are_changed(visit: Visit, shop: str) -> None:
    page = visit().open(f"/projects/{shop}?view=phases")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("No run of this project starts")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("No run of this project starts")).to_be_hidden()
    for number, name in enumerate(("Build", "Verify"), 1):
        page.get_by_label("Name of a new phase").fill(name)
        page.get_by_role("button", name="Add phase").click()
        expect(page.get_by_label(f"Name of phase {number}")).to_have_value(name)
    page.get_by_role("button", name="Move Verify up").click()
    expect(page.get_by_label("Name of phase 1")).to_have_value("Verify")


def test_a_name_that_is_being_typed_stays_when_somebody_else_changes_the_page(
    visit: Visit, server: DashboardServer
) -> None:
    project = str(server.made("projects", name="Typed")["id"])
    server.made("phases", project_id=project, name="Plan")
    page = visit().open(f"/projects/{project}?view=phases")
    page.get_by_label("Name of phase 1").fill("Plan wel")
    server.made("phases", project_id=project, name="Release")
    expect(page.get_by_label("Name of phase 2")).to_have_value("Release")
    expect(page.get_by_label("Name of phase 1")).to_have_value("Plan wel")
    page.get_by_label("Name of phase 1").fill("Plan well")
    page.get_by_label("Name of phase 1").press("Enter")
    expect(page.get_by_role("button", name="Remove Plan well")).to_be_visible()


def test_a_template_is_run_for_a_new_task_by_its_form(visit: Visit, shop: str) -> None:
    visitor = visit()
    page = visitor.open("/templates?category=general")
    page.get_by_role("link", name="Shell command").click()
    page.get_by_label("Project", exact=True).select_option(label="Shop")
    page.get_by_label("Title of the new task").fill("From the catalog")
    page.get_by_label("retries").fill("-1")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#field-parameter-retries-problem")).to_contain_text("at least 0")
    page.get_by_label("retries").fill("0")
    page.get_by_label("script", exact=True).fill("echo one\necho two")
    # The run's own page is the matter of other tests.
    page.route("**/runs/run-*", lambda route: route.fulfill(body="<title>Run</title>", content_type="text/html"))
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page).to_have_url(re.compile("/runs/run-"))
    page = visitor.open("/templates/shell-command")
    expect(page.get_by_role("table", name="Runs of this template")).to_contain_text("From the catalog")


def test_statistics_tell_successes_and_failures(visit: Visit, shop: str) -> None:
    page = visit().open(f"/statistics?days=7&project={shop}")
    expect(page.get_by_role("img", name=re.compile("^Runs: Succeeded"))).to_be_visible()
    expect(page.get_by_label("Failures by class").last).to_contain_text("1")
    page.get_by_label("Time").get_by_role("link", name="24 hours").click()
    expect(page).to_have_url(re.compile(r"days=1&project="))


def test_a_token_is_shown_once_and_revoked(visit: Visit, server: DashboardServer) -> None:
    page = visit().open("/settings")
    page.get_by_label("Name").fill("robot")
    page.get_by_label("Days").fill("0")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("alert")).to_contain_text("lifetime")
    page.get_by_label("Days").fill("30")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_role("status").locator("code").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    assert server.api.get("/projects", headers=headers).is_success
    page.reload()
    expect(page.get_by_text("robot")).to_be_visible()
    expect(page.get_by_text(secret)).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("robot", exact=True)).to_have_count(0)
    assert not server.api.get("/projects", headers=headers).is_success


@pytest.mark.usefixtures("shop")
def test_a_schedule_is_shown_with_its_next_time_paused_and_resumed(visit: Visit, server: DashboardServer) -> None:
    page = visit().open("/settings")
    fields = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "project_id": "Shop"}
    assert server.api.post("/schedules", json=fields).status_code == 201
    expect(page.get_by_text(re.compile(r"next \w+ [\d-]+ 03:00 CES?T"))).to_be_visible()
    page.get_by_role("button", name="pause nightly").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    assert server.api.get("/schedules/nightly").json()["paused_at"]
    page.get_by_role("button", name="resume nightly").click()
    expect(page.get_by_role("button", name="pause nightly")).to_be_visible()


PAGES = {
    "projects": "/projects",
    "board": "/projects/Shop",
    "list": "/projects/Shop?view=list",
    "graph": "/projects/Shop?view=graph",
    "phases": "/projects/Shop?view=phases",
    "task-new": "/projects/Shop/tasks/new?template=ml-training",
    "templates": "/templates",
    "template": "/templates/build-package",
    "statistics": "/statistics",
    "settings": "/settings",
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_serious_keeps_anybody_from_using_these_pages(visit: Visit, *, dark: bool) -> None:
    visitor = visit(dark=dark)
    found = {}
    # In the dark the colours alone are others; these pages have all of them.
    for name in ("board", "task-new", "statistics", "settings") if dark else PAGES:
        visitor.open(PAGES[name])
        visitor.picture(name)
        found[name] = visitor.barriers()
    assert not any(found.values()), found


@pytest.mark.usefixtures("shop")
def test_on_a_phone_no_page_is_wider_than_the_screen(visit: Visit) -> None:
    visitor = visit(size=PHONE)
    wide = []
    for name, address in PAGES.items():
        visitor.open(address)
        visitor.picture(name)
        if visitor.is_wider_than_the_window():
            wide.append(name)
    assert wide == []
