"""The overview, and the frame that all pages have."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.dashboard_server import DashboardServer, shell
from tests.browser.looking import PHONE


def test_an_empty_server_says_what_to_do_first(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("/")
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    expect(page.get_by_text("task-manager project create")).to_be_visible()
    visitor.picture("overview-empty")


def test_a_run_shows_up_as_it_goes_without_reloading(visit: Visit, server: DashboardServer) -> None:
    visitor = visit()
    page = visitor.open("/")
    project = server.made("projects", name="Shop")["id"]
    good = server.task("Greet", project, shell("greet", "echo hello"))["id"]
    bad = server.task("Break", project, shell("break", "echo no such file >&2; exit 3"))["id"]
    assert server.ended(server.run(good)) == "succeeded"
    assert server.ended(server.run(bad)) == "failed"
    latest = page.get_by_label("Latest runs")
    expect(latest.get_by_role("link").filter(has_text="Greet")).to_contain_text("Succeeded")
    expect(page.get_by_label("Failed last")).to_contain_text("Break")
    visitor.picture("overview")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_serious_keeps_anybody_from_using_it(visit: Visit, dark: bool) -> None:
    visitor = visit(dark=dark)
    visitor.open("/")
    assert visitor.barriers() == []


def test_the_theme_follows_the_system_until_somebody_chooses(visit: Visit) -> None:
    visitor = visit(dark=True)
    page = visitor.open("/")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme: auto").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")


def test_on_a_phone_the_navigation_is_a_drawer_and_nothing_is_too_wide(visit: Visit) -> None:
    visitor = visit(size=PHONE)
    page = visitor.open("/")
    assert not visitor.is_wider_than_the_window()
    visitor.picture("overview")
    menu = page.get_by_role("navigation", name="Main")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Open the navigation").click()
    expect(menu.get_by_role("link", name="Overview")).to_be_focused()
    visitor.picture("drawer")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
