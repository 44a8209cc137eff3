"""The server of the review page: `python apps/served.py OPTIONS RUN [options]`, as `suite review` starts it.

OPTIONS are those of Streamlit's configuration, as a JSON object; the rest is for `apps/review.py`. Streamlit
alone lets any site show the page in a frame, where people can be led to click on what they do not see. So
every answer forbids that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App

PAGE = Path(__file__).resolve().with_name("review.py")

# Frames of the page's own origin are those of its components. Old browsers know the first header only.
FRAMED_BY_ITSELF = {"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": "frame-ancestors 'self'"}


class Unframed:
    """Adds to every answer that no other site may show it in a frame."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(FRAMED_BY_ITSELF)
            await send(message)

        await self._app(scope, receive, sent)


def main(options: dict[str, Any]) -> None:
    """Serve the page until Ctrl-C. options: of Streamlit's configuration, by their dotted names."""

    @asynccontextmanager
    async def opened(app: App) -> AsyncIterator[None]:
        if not options["server.headless"]:
            _show(f"http://{options['server.address']}:{options['server.port']}")
        yield

    with suppress(KeyboardInterrupt):
        App(PAGE, lifespan=opened, middleware=[Middleware(Unframed)]).run(config=options)


def _show(address: str) -> None:
    """Open the address in the user's browser, whose own messages and end are no concern of ours."""
    if found := shutil.which("xdg-open"):
        nowhere = subprocess.DEVNULL
        subprocess.Popen(
            [found, address], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    else:
        Thread(target=webbrowser.open, args=(address,), daemon=True).start()


if __name__ == "__main__":
    main(json.loads(sys.argv.pop(1)))  # what is left is the page's
