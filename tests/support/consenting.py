"""A consent in one browser: the link, the page that asks, and the way to Google."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.core.ids import UserId


class Consenting:
    """A flow up to Google. `cookies` are the browser's, `url` is where Google asks."""

    def __init__(self, services: Services, user: str, **begin: Any) -> None:
        self.connections = services.connections
        self.link = self.connections.begin(UserId(user), **begin)
        self.flow = self.link.partition("flow=")[2]
        self.cookies: dict[str, str] = {}
        self.page = self.open()
        self.url = self.go()

    def open(self) -> Any:
        """Open the link, for the first time or again."""
        page = self.connections.start(self.flow, self.cookies)
        self.cookies[page.cookie_name] = page.cookie
        return page

    def go(self) -> str:
        """Press "Continue with Google"."""
        return self.connections.leave(self.flow, self.cookies, self.page.form_token)

    def back(self, answer: dict[str, str]) -> Any:
        """Come back from Google; where that asks (C10) the browser is the same."""
        result = self.connections.finish(answer, self.cookies)
        if result.question is not None:
            self.cookies[str(result.cookie_name)] = str(result.cookie)
        return result

    def answer(self, question: str, *, move: bool) -> Any:
        """Answer whether the connection shall move (C10)."""
        page = self.connections.question(question, self.cookies)
        return self.connections.answer(
            question, self.cookies, page.form_token, move=move
        )
