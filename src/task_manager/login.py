"""The login page: a browser shows a token once, and has a session from then on."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from task_manager.access import PREFIX
from task_manager.guard import LOGIN_PATH, LOGOUT_PATH, SESSION_COOKIE, inside, session_shown
from task_manager.problem_documents import problem_document

if TYPE_CHECKING:
    from task_manager.access import AccessControl

_MOST_BYTES: Final = 8 * 1024
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in · Task Manager</title>
<style>
:root { --page: #f4f5f7; --card: #fff; --text: #1b1f24; --quiet: #545d68; --line: #8c959f; --act: #1565c0;
  --on-act: #fff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121417; --card: #1d2025; --text: #e6e8eb; --quiet: #aab2bd; --line: #6b7480; --act: #90caf9;
    --on-act: #0b1b2b; --bad: #ffb4ab; }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem; border-radius: .75rem; background: var(--card);
  box-shadow: 0 1px 4px #0003 }
h1 { margin: 0 0 1rem; font-size: 1.375rem }
label { display: block; margin-bottom: .25rem; font-weight: 600 }
input, button { width: 100%; padding: .625rem .75rem; border-radius: .375rem; font: inherit }
input { border: 1px solid var(--line); background: transparent; color: inherit }
button { margin-top: 1rem; border: 0; background: var(--act); color: var(--on-act); font-weight: 600; cursor: pointer }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px }
p { margin: 1rem 0 0; color: var(--quiet) }
code { overflow-wrap: anywhere; color: var(--text) }
[role=alert] { margin: 0 0 1rem; color: var(--bad) }
</style>
</head>
<body>
<main>
<h1>Task Manager</h1>
$alert
<form method="post" action="$action">
<input type="hidden" name="next" value="$next">
<label for="token">Access token</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password" spellcheck="false"
 placeholder="$prefix…" aria-describedby="how">
<button type="submit">Log in</button>
</form>
<p id="how">Make one on the server: <code>task-manager token create NAME</code></p>
</main>
</body>
</html>
""")


class LoginPages:
    """The routes at `/login` and `/logout`.

    Args:
        access: Knows tokens and sessions.
    """

    def __init__(self, access: AccessControl) -> None:
        self._access = access
        self.routes = [
            Route(LOGIN_PATH, self._show, methods=["GET"]),
            Route(LOGIN_PATH, self._log_in, methods=["POST"]),
            Route(LOGOUT_PATH, self._log_out, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        return _page(request.query_params.get("next", "/"))

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        if form is None:
            return problem_document(413, "too_large", f"A login has at most {_MOST_BYTES:,} bytes.")
        wanted = inside(form.get("next", "/"))
        entered = await self._access.log_in(form.get("token", "").strip())
        if entered is None:
            return _page(wanted, alert="This token is unknown, revoked or expired.", status=403)
        session, shown = entered
        answer = RedirectResponse(wanted, 303, {"Cache-Control": "no-store"})
        answer.set_cookie(
            SESSION_COOKIE,
            shown,
            max_age=int((session.expires_at - datetime.now(UTC)).total_seconds()),
            httponly=True,
            samesite="lax",
            # A proxy before this server may speak TLS where this server does not.
            secure=request.headers.get("origin", "").startswith("https://") or request.url.scheme == "https",
        )
        return answer

    async def _log_out(self, request: Request) -> Response:
        if shown := session_shown(request.headers):
            await self._access.log_out(shown)
        answer = RedirectResponse(LOGIN_PATH, 303, {"Cache-Control": "no-store"})
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
        return answer


def _page(wanted: str, *, alert: str = "", status: int = 200) -> Response:
    content = _PAGE.substitute(
        action=LOGIN_PATH,
        alert=f'<p role="alert">{html.escape(alert)}</p>' if alert else "",
        next=html.escape(inside(wanted)),
        prefix=PREFIX,
    )
    return HTMLResponse(content, status, _HEADERS)


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None when it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return None
    fields = parse_qs(body.decode(errors="replace"))
    return {name: values[-1] for name, values in fields.items()}
