"""`suite review`: the items of a run in the browser, to be accepted or relabelled."""

from __future__ import annotations

import json
import os
import sys
from getpass import getuser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipelines.common.errors import UserError
from suite import exits
from suite.ports import FIRST_PORT, HOST, TRIES, is_free
from suite.remedies import install

PAGE = Path(__file__).resolve().parents[1] / "apps" / "served.py"

# They win over what a user's own configuration of Streamlit says.
SERVER = {
    "server.address": HOST,
    "server.allowedHosts": [HOST],  # no web page under another name may talk to it
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "browser.serverAddress": HOST,
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
    # One colour for each theme: a single one would take the dark theme away.
    "theme.light.primaryColor": "#0072b2",
    "theme.dark.primaryColor": "#3d8fc4",
}

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="The run folder of a command such as classify.")
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65_535, help=f"The port. Default: the first free one from {FIRST_PORT}."
    ),
]
Reviewer = Annotated[
    str | None,
    typer.Option("--reviewer", metavar="NAME", help="Who reviews. Default: the name of this user."),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        metavar="DIR",
        help="Label maps to show beside what a model segmented; files are named as the cases.",
        exists=True,
    ),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only print the address.")]


def review(
    run: RunFolder,
    port: Port = None,
    reviewer: Reviewer = None,
    truth: Truth = None,
    no_browser: NoBrowser = False,
) -> None:
    """Look at the items of a run in the browser; accept, relabel, and export the labels.

    The page is served on this machine only, until Ctrl-C. Verdicts are kept in the run folder.
    """
    with exits.exits():
        from apps.items import read_record
        from apps.viewers import viewer_of

        task = read_record(run).get("task")
        viewer = viewer_of(task)
        if truth is not None and not viewer.takes_truth:
            raise UserError(f"runs of the task {task} are shown without a truth; leave --truth out")
        if find_spec("streamlit") is None:
            raise UserError(f"streamlit is not installed: {install('streamlit')}")
        chosen = _port(port)
        name = _user() if reviewer is None else reviewer
        typer.echo(f"Review: http://{HOST}:{chosen} (Ctrl-C ends it)")
        sys.stdout.flush()
        options = SERVER | {"server.port": chosen, "server.headless": no_browser}
        page = [str(run.resolve()), f"--reviewer={name}"]
        page += [f"--truth={truth.resolve()}"] if truth is not None else []
        # In place of this process: a Ctrl-C or a kill reaches the server, and nothing is left behind.
        os.execv(sys.executable, [sys.executable, str(PAGE), json.dumps(options), *page])


def _port(wanted: int | None) -> int:
    if wanted is not None:
        if not is_free(wanted):
            raise UserError(f"port {wanted} cannot be had; give --port another, or leave it out")
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + TRIES):
        if is_free(port):
            return port
    raise UserError(f"no port from {FIRST_PORT} to {FIRST_PORT + TRIES - 1} is free; name one with --port")


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return ""
