"""Runs, from their start to their result: watched live, diagnosed, repeated, cancelled, many at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.dashboard_server import DashboardServer, shell
from tests.browser.looking import PHONE, Visitor


@pytest.fixture(scope="module")
def project(server: DashboardServer) -> str:
    """The id of a project."""
    return str(server.made("projects", name="Shop")["id"])


def gate(name: str) -> dict[str, object]:
    """Fields of steps that see the same folder `/gate`, whichever runs they are of."""
    return {"caches": [{"name": name, "target": "/gate"}]}


WAIT = "while [ ! -e /gate/open ]; do sleep 0.05; done"
OPEN = "touch /gate/open"


def test_a_run_is_watched_live_from_its_start_to_its_log_and_result(
    visit: Visit, server: DashboardServer, project: str
) -> None:
    build = shell("build", f"echo first; {WAIT}; echo last", **gate("watched"))
    task = server.task("Watched", project, build, shell("check", "echo checked; echo hm >&2", needs=["build"]))
    run_id = server.run(task["id"])
    visitor = visit()
    page = visitor.open(f"/runs/{run_id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("first")
    expect(page.locator(".heading .status")).to_have_text("Running")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "0")
    visitor.picture("run-live")
    server.run(server.task("Go on", project, shell("open", OPEN, **gate("watched")))["id"])
    expect(page.locator(".heading .status")).to_have_text("Succeeded")
    expect(log).to_contain_text("checked")
    page.get_by_role("button", name="build: Succeeded").first.click()
    expect(log).to_have_text("firstlast")
    page.get_by_label("Search in the log").fill("^la")
    page.get_by_label("Search in the log").press("Enter")
    expect(log).to_have_text("last")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_text() == "first\nlast\n"
    page.get_by_role("tab", name="Result").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("2 steps succeeded")
    for tab, text in (
        ("Events", "Preparing"),
        ("Cache", "No equal run"),
        ("Inputs", "Pipeline"),
        ("Artifacts", "No artifacts"),
    ):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel")).to_contain_text(text)
    visitor.picture("run-done")
    assert visitor.barriers() == []


def test_a_failing_run_tells_why_and_its_retry_is_green_once_the_cause_is_gone(
    visit: Visit, server: DashboardServer, project: str
) -> None:
    script = f"test -e /gate/open || {{ {OPEN}; echo 'no such table: orders' >&2; exit 3; }}; echo migrated"
    run_id = server.run(server.task("Migrate", project, shell("apply", script, **gate("cause")))["id"])
    assert server.ended(run_id) == "failed"
    visitor = visit()
    page = visitor.open(f"/runs/{run_id}")
    diagnosis = page.get_by_label("Why it failed")
    expect(diagnosis).to_contain_text("no such table: orders")
    expect(diagnosis).to_contain_text(f"task-manager run logs {run_id} --step apply")
    visitor.picture("run-failed")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: "/runs/run-" in url and run_id not in url)
    expect(page.locator(".heading .status")).to_have_text("Succeeded")
    expect(page.get_by_label("Facts")).to_contain_text("Repeats")


def test_a_run_is_repeated_from_one_of_its_steps_and_its_artifacts_are_looked_at(
    visit: Visit, server: DashboardServer, project: str
) -> None:
    build = shell(
        "build",
        "echo built; echo '<b>made</b>' > /task/page.html",
        outputs=[{"name": "page", "path": "/task/page.html"}],
    )
    check = shell("check", "echo checked", needs=["build"])
    run_id = server.run(server.task("Publish", project, build, check)["id"])
    assert server.ended(run_id) == "succeeded"
    visitor = visit()
    page = visitor.open(f"/runs/{run_id}?tab=artifacts")
    page.get_by_role("button", name="Preview build/page").click()
    expect(page.locator(".preview")).to_have_text("<b>made</b>")
    visitor.picture("artifact")
    page.get_by_role("button", name="Close build/page").click()
    expect(page.locator(".preview")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download build/page").click()
    assert Path(download.value.path()).read_text() == "<b>made</b>\n"
    page.get_by_role("button", name="check: Succeeded").first.click()
    page.get_by_role("button", name="Run again from check").click()
    page.wait_for_url(lambda url: "/runs/run-" in url and run_id not in url)
    expect(page.locator(".heading .status")).to_have_text("Succeeded")
    expect(page.get_by_label("Facts")).to_contain_text("From step")
    again = page.url.rpartition("/")[2].partition("?")[0]
    page.get_by_role("button", name="Run again", exact=True).click()
    page.wait_for_url(lambda url: "/runs/run-" in url and again not in url)
    expect(page.locator(".heading .status")).to_have_text("Succeeded")
    expect(page.get_by_label("Facts")).to_contain_text("Repeats")


def test_several_runs_are_cancelled_at_once_after_asking(visit: Visit, server: DashboardServer, project: str) -> None:
    endless = [server.task(f"Endless {n}", project, shell("wait", WAIT, **gate("never"))) for n in range(2)]
    started = [server.run(task["id"]) for task in endless]
    visitor = visit()
    page = visitor.open("/runs?status=active")
    table = page.get_by_role("table", name="Runs")
    for number in range(2):
        table.get_by_label(f"Choose Endless {number}").check()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel 2").click()
    expect(page.get_by_text("No run fits")).to_be_visible()
    assert [server.ended(run_id) for run_id in started] == ["cancelled", "cancelled"]
    page.get_by_role("link", name="Cancelled").click()
    expect(page.get_by_role("row").filter(has_text="Endless")).to_have_count(2)
    visitor.picture("runs")
    assert visitor.barriers() == []


def test_of_a_table_that_is_open_only_what_changed_is_sent(visit: Visit, server: DashboardServer, project: str) -> None:
    task = server.task("Small change", project, shell("say", "echo said"))
    for _ in range(20):
        server.ended(server.run(task["id"]))
    visitor = visit()
    received: list[str] = []
    visitor.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(str(frame))))
    page = visitor.open("/runs")
    rows = page.get_by_role("table", name="Runs").get_by_role("row")
    expect(rows.nth(20)).to_be_visible()
    run_id = server.run(task["id"])
    expect(rows.nth(1).get_by_role("link", name="Small change")).to_have_attribute("href", f"/runs/{run_id}")
    expect(rows.nth(1)).to_contain_text("Succeeded")
    assert any(run_id in frame for frame in received)
    assert max(map(len, received)) < len(page.locator(".content").inner_html()) / 4


def test_filters_are_in_the_address_and_leave_runs_out_without_reloading(
    visit: Visit, server: DashboardServer, project: str
) -> None:
    for title in ("Wanted", "Left out"):
        server.ended(server.run(server.task(title, project, shell("say", "echo said"))["id"]))
    visitor = visit()
    page = visitor.open("/runs")
    expect(page.get_by_role("row").filter(has_text="Left out")).to_have_count(1)
    page.get_by_role("searchbox").fill("want")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("row").filter(has_text="Left out")).to_have_count(0)
    expect(page).to_have_url(f"{visitor.url}/runs?text=want")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("want")
    expect(page.get_by_role("row").filter(has_text="Wanted")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="Left out")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nothing_is_too_wide(visit: Visit, server: DashboardServer, project: str, dark: bool) -> None:
    steps = shell("build", "echo built"), shell("check", "echo checked", needs=["build"])
    run_id = server.run(server.task("Looked at on a phone", project, *steps)["id"])
    server.ended(run_id)
    visitor: Visitor = visit(size=PHONE, dark=dark)
    visitor.open(f"/runs/{run_id}")
    visitor.picture("run")
    assert not visitor.is_wider_than_the_window()
    assert visitor.barriers() == []
    visitor.open("/runs")
    visitor.picture("runs")
    assert not visitor.is_wider_than_the_window()
    assert visitor.barriers() == []


def test_what_there_is_not_is_said_in_words_with_a_way_out(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("/runs/run-nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no run 'run-nowhere'.")
    expect(page.get_by_role("link", name="Go to Runs")).to_have_attribute("href", "/runs")
    answer = visitor.page.goto(f"{visitor.url}/nowhere")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert visitor.barriers() == []
    assert [one for one in visitor.complaints if "404" not in one] == []
    visitor.complaints.clear()


def test_a_page_says_that_its_run_was_removed(visit: Visit, server: DashboardServer, project: str) -> None:
    task = server.task("Removed meanwhile", project, shell("say", "echo said"))["id"]
    run = server.run(task)
    assert server.ended(run) == "succeeded"
    page = visit().open(f"/runs/{run}")
    assert server.api.delete(f"/tasks/{task}", headers={"If-Match": "*"}).is_success
    expect(page.get_by_role("heading", level=1)).to_have_text(f"There is no run '{run}'.")
    expect(page.get_by_role("tab")).to_have_count(0)


def test_parts_of_a_run_are_chosen_by_arrow_keys(visit: Visit, server: DashboardServer, project: str) -> None:
    page = visit().open(f"/runs/{server.run(server.task('By keys', project, shell('say', 'echo said'))['id'])}")
    page.get_by_role("tab", name="Inputs").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Cache")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="Cache")).to_be_focused()


def test_a_run_names_its_tab_and_leads_to_its_task(visit: Visit, server: DashboardServer, project: str) -> None:
    task = server.task("Named in the tab", project, shell("say", "echo said"))["id"]
    page = visit().open(f"/runs/{server.run(task)}")
    expect(page).to_have_title("Named in the tab · Run · Task Manager")
    page.get_by_label("Facts").get_by_role("link", name="Named in the tab").click()
    expect(page).to_have_title("Named in the tab · Task · Task Manager")


def test_pages_find_back_when_the_server_has_been_started_again(visit: Visit, server: DashboardServer) -> None:
    visitor = visit()
    page = visitor.open("/runs")
    visitor.server_may_go = True
    assert server.stop() < 10, "two seconds are promised; other work of this machine may take its part"
    server.start()
    project = server.made("projects", name="After")["id"]
    server.task("Afterwards", project, shell("one", "true"))
    task = server.api.get("/tasks/Afterwards").json()
    server.run(task["id"])
    expect(page.get_by_role("row").filter(has_text="Afterwards")).to_contain_text("Succeeded")
