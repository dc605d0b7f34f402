"""What all pages have: the frame around them, who looks at them, sections that stay up to date."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar

from nicegui import Client, app, background_tasks, context, ui
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from task_manager.application import Application
from task_manager.dashboard.live import Batch, Live
from task_manager.dashboard.tree_element import Act, Tree
from task_manager.dashboard.views import frame
from task_manager.dashboard.views.parts import empty
from task_manager.dashboard.views.tree import Node
from task_manager.dashboard.views.tree_difference import Drawing
from task_manager.errors import NotFound, TaskManagerError
from task_manager.guard import session_shown
from task_manager.identity import IDENTITY_KEY, Identity
from task_manager.models import TokenScope
from task_manager.structured_log import get_logger

log = get_logger(__name__)

REST_SECONDS: Final = 0.2
"""A section is drawn anew at most once in this time."""

_BUILD_SECONDS: Final = 30.0

T = TypeVar("T")
V = TypeVar("V", bound=Hashable)
Done: TypeAlias = Callable[[Act], Awaitable[None]]


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        actor: As events name who it is.
        identity: What it may do.
    """

    actor: str
    identity: Identity

    @property
    def may_run(self) -> bool:
        """Whether it may change and run something."""
        return self.identity.allows(TokenScope.RUN)

    @property
    def may_remove(self) -> bool:
        """Whether it may remove something."""
        return self.identity.allows(TokenScope.ADMIN)


class Section:
    """A part of a page that is drawn anew when something happens.

    Args:
        page: Where it is.
        drawing: Draws what it shows at the moment.
        concerns: Whether what happened matters to it.
        does: What its actions do, by name.
    """

    def __init__(
        self,
        page: Page,
        drawing: Callable[[], Awaitable[Drawing]],
        *,
        concerns: Callable[[Batch], bool],
        does: Mapping[str, Done],
    ) -> None:
        self._page = page
        self._drawing = drawing
        self._does = does
        self._leads = page.takes_lead()
        self._tree = Tree(self._done)
        self._wanted = False
        self._at_work = False

        async def happened(batch: Batch) -> None:
            if concerns(batch):
                await self.refresh()

        page.dashboard.live.happened.subscribe(happened)

    async def refresh(self) -> None:
        """Draw it anew; while that is under way, once more afterwards."""
        self._wanted = True
        if self._at_work:
            return
        self._at_work = True
        try:
            while self._wanted and not self._tree.is_deleted:
                self._wanted = False
                await self._draw_safely()
                await asyncio.sleep(REST_SECONDS)
        finally:
            self._at_work = False

    async def begin(self) -> None:
        """Draw it for the first time."""
        await self._draw_safely()

    async def _draw_safely(self) -> None:
        try:
            self._tree.show(await self._drawing())
        except TaskManagerError as error:
            self._tree.show(Drawing(self._trouble(error)))

    def _trouble(self, error: TaskManagerError) -> list[Node]:
        """What is shown in place of the section: of what is not there, the page says so once, at its top."""
        if self._leads:
            return frame.trouble(self._page.place, error.message, error.remedy)
        return [] if isinstance(error, NotFound) else [empty(error.message, error.remedy, icon_name="warn")]

    async def _done(self, act: Act) -> None:
        do = self._does.get(act.name)
        if do is None:
            return
        try:
            await do(act)
        except TaskManagerError as error:
            self._page.tell(f"{error.message} {error.remedy}".strip(), good=False)
        self._page.dashboard.live.forget()
        await self.refresh()


class Page:
    """A page that somebody looks at.

    Attributes:
        dashboard: What it belongs to.
        place: The entry of the navigation that it belongs to.
        visitor: Who looks.
        path: The parts of its address, by name.
        query: What follows the `?` of its address, by name; of several the last one.
    """

    def __init__(self, dashboard: Dashboard, request: Request, place: str) -> None:
        self.dashboard = dashboard
        self.place = place
        self._has_lead = False
        self.path: Mapping[str, str] = request.path_params
        self.query: dict[str, str] = dict(request.query_params)
        actor = str(getattr(request.state, "actor", None) or "local")
        self.visitor = Visitor(actor, request.scope.get(IDENTITY_KEY) or Identity())
        self._client = context.client

    @property
    def application(self) -> Application:
        """The application."""
        return self.dashboard.application

    def takes_lead(self) -> bool:
        """Whether a section that asks is the page's first: that one has the heading."""
        is_first, self._has_lead = not self._has_lead, True
        return is_first

    async def section(
        self,
        load: Callable[[], Awaitable[T]],
        draw: Callable[[T], list[Node]],
        *,
        concerns: Callable[[Batch], bool] = lambda _batch: True,
        does: Mapping[str, Done] | None = None,
    ) -> Section:
        """Add a section that nobody else sees at the place where elements are added now.

        Args:
            load: Finds out what it shows.
            draw: Draws that.
            concerns: Whether what happened matters to it; by default everything does.
            does: What its actions do, by name; errors are told to whoever looks.
        """

        async def drawing() -> Drawing:
            return Drawing(draw(await load()))

        return await self._begun(Section(self, drawing, concerns=concerns, does=does or {}))

    async def shared_section(
        self,
        view: Callable[[], V],
        load: Callable[[V], Awaitable[T]],
        draw: Callable[[T, V], list[Node]],
        *,
        does: Mapping[str, Done] | None = None,
    ) -> Section:
        """Add a section that is found out and drawn once for all pages that look at the same.

        Args:
            view: What it looks at now. All that it shows depends on this and on what is stored, also who looks; views
                of different sections are never equal.
            load: Finds out what a view shows.
            draw: Draws that.
            does: What its actions do, by name; errors are told to whoever looks.
        """
        live = self.dashboard.live

        async def drawing() -> Drawing:
            seen = view()

            async def drawn() -> Drawing:
                return Drawing(draw(await load(seen), seen))

            return await live.shared(("drawing", seen), drawn)

        return await self._begun(Section(self, drawing, concerns=lambda _batch: True, does=does or {}))

    async def _begun(self, section: Section) -> Section:
        await section.begin()
        return section

    def when_connected(self, do: Callable[[], None]) -> None:
        """Do something once the browser shows the page."""

        async def wait() -> None:
            await self._client.connected()
            do()

        background_tasks.create(wait(), name="waits for the browser")

    def tell(self, text: str, *, good: bool = True) -> None:
        """Show a message for some seconds."""
        with self._client:
            ui.notify(text, type="positive" if good else "negative", position="bottom-right", multi_line=True)

    def go(self, address: str) -> None:
        """Go to another page of the dashboard."""
        with self._client:
            ui.navigate.to(address)

    def set_address(self, address: str) -> None:
        """Change the address that is shown, and stay here."""
        with self._client:
            ui.run_javascript(f"history.replaceState(history.state, '', {address!r})")

    def require(self, scope: TokenScope) -> None:
        """Refuse what the visitor may not do.

        Raises:
            NotAllowed: It may not.
        """
        if not self.visitor.identity.allows(scope):
            raise NotAllowed(
                f"A token of scope {self.visitor.identity.scope} does not allow this.",
                remedy=f"Log in with one of scope {scope}: task-manager token create NAME --scope {scope}.",
            )


class NotAllowed(TaskManagerError):
    """What the visitor's token does not allow."""

    code = "forbidden"


@dataclass(frozen=True)
class Dashboard:
    """What all pages have in common.

    Attributes:
        application: An open application.
        live: Tells what happens.
    """

    application: Application
    live: Live

    def page(self, address: str, title: str, *, place: str) -> Callable[[Callable[[Page], Awaitable[None]]], None]:
        """Add a page, by the function that fills it.

        Args:
            address: Its path, with `{name}` for parts that vary.
            title: For the browser's tab and the heading.
            place: The entry of the navigation that it belongs to.
        """

        def add(fill: Callable[[Page], Awaitable[None]]) -> None:
            async def show(request: Request) -> None:
                page = Page(self, request, place)
                with _framed(request, place):
                    await fill(page)

            ui.page(address, title=f"{title} · Task Manager", response_timeout=_BUILD_SECONDS)(show)

        return add

    def answer_unknown(self) -> None:
        """Answer addresses that no page has with a page that says so."""

        @app.exception_handler(HTTPStatus.NOT_FOUND)
        async def answer(request: Request, error: Exception) -> Response:
            if request.scope.get("endpoint") not in (None, app) and isinstance(error, HTTPException):
                return PlainTextResponse(str(error.detail), error.status_code)  # One of NiceGUI's own files.
            title = "Page not found"
            with Client(ui.page("", title=f"{title} · Task Manager"), request=request) as client:
                with _framed(request, ""):
                    remedy = "The address may be mistyped. The navigation leads to everything that there is."
                    Tree(_nothing).show(Drawing(frame.trouble("", title, remedy)))
                return client.build_response(request, HTTPStatus.NOT_FOUND)


@contextlib.contextmanager
def _framed(request: Request, place: str) -> Iterator[None]:
    """Adds what is added inside to the content of a page with the dashboard's frame."""
    ui.add_head_html(frame.HEAD)
    with ui.element("div").classes("app"):
        with_session = session_shown(request.headers) is not None
        Tree(_nothing).show(Drawing(frame.navigation(place, with_session=with_session)))
        with ui.element("div").classes("content").props("id=main tabindex=-1"):
            yield


async def _nothing(_act: Act) -> None:
    """The frame's own buttons are the browser's matter."""
