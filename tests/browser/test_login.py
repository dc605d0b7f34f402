"""A browser shows a token once, and comes in with a cookie from then on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.dashboard_server import DashboardServer, running
from tests.browser.looking import PHONE


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardServer]:
    """A server that lets nobody in without a token."""
    with running(tmp_path_factory.mktemp("guarded"), "--require-token") as started:
        yield started


@pytest.fixture(scope="module")
def token(server: DashboardServer) -> str:
    """A token that somebody made on the server."""
    command = [sys.executable, "-m", "task_manager", "token", "create", "me", "--scope", "admin", "--json"]
    made = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=True)
    return str(json.loads(made.stdout)["token"])


def test_one_logs_in_to_the_page_one_wanted_and_is_out_after_logging_out(
    visit: Visit, server: DashboardServer, token: str
) -> None:
    assert server.api.get("/projects").status_code == httpx.codes.UNAUTHORIZED
    visitor = visit()
    page = visitor.page
    page.goto(f"{server.url}/projects?from=here")
    expect(page).to_have_title("Log in · Task Manager")
    assert visitor.barriers() == []
    visitor.picture("login")

    page.get_by_label("Access token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{server.url}/projects?from=here")
    assert [(one["httpOnly"], one["sameSite"], token in one["value"]) for one in visitor.context.cookies()] == [
        (True, "Lax", False)
    ]
    # What happens reaches the page: its socket was let in by the cookie, too.
    headers = {"Authorization": f"Bearer {token}"}
    assert server.api.post("/projects", json={"name": "Shop"}, headers=headers).is_success
    expect(page.get_by_role("link", name="Shop")).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    page.goto(f"{server.url}/runs")
    expect(page.get_by_label("Access token")).to_be_visible()


def test_a_wrong_token_is_refused_in_words(visit: Visit, server: DashboardServer) -> None:
    visitor = visit(size=PHONE, dark=True)
    page = visitor.page
    page.goto(f"{server.url}/login")
    page.get_by_label("Access token").fill("tm_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This token is unknown, revoked or expired.")
    assert visitor.context.cookies() == []
    assert not visitor.is_wider_than_the_window()
    visitor.picture("login-refused")
    # Chromium notes every answer that is no success.
    assert [one for one in visitor.complaints if "403" not in one] == []
    visitor.complaints.clear()
