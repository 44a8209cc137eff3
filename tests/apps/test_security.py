"""The page as an attacker finds it: paths that lead out of it, other names for this machine, other sites."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from apps.store import Store
from benchmarks.review.serving import Served, serve
from tests.apps.runs import small_run
from tests.browser import PATIENCE_MS, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = "site.example"
SECRET = "the-secret-of-another-folder"
DEEP = "../" * 12
PAGE_ROOT = '<div id="root">'
# Shows an address over the whole window; the text that is there, where it can be read.
FRAME = """async address => {
    const frame = document.createElement("iframe");
    frame.style = "position: fixed; inset: 0; width: 100%; height: 100%; border: 0; z-index: 9999999";
    frame.src = address;
    const loaded = new Promise(done => { frame.onload = done; });
    document.body.append(frame);
    await loaded;
    return frame.contentDocument?.body.innerText ?? null;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and beside it and in it files that are no part of the page."""
    folder = tmp_path_factory.mktemp("secure")
    small_run(folder / "run")
    (folder / "secret.txt").write_text(SECRET)
    (folder / "run" / "notes.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serve(folder / "run") as served:
        yield served


def answer(served: Served, path: str, host: str = "", headers: str = "") -> str:
    """What the server answers to a request for just this path: clients would clean it first."""
    place = urlsplit(served.url)
    headers = headers or "Connection: close\r\n"
    request = f"GET {path} HTTP/1.1\r\nHost: {host or place.netloc}\r\n{headers}\r\n"
    with socket.create_connection((place.hostname, place.port), timeout=300) as stream:
        stream.sendall(request.encode())
        content = b""
        while part := stream.recv(65536):
            content += part
            if "Upgrade" in headers:  # what stays open
                break
    return content.decode(errors="replace")


@contextmanager
def other_site() -> Iterator[int]:
    """The port of a server with an empty page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("start", ["/", "/media/", "/static/", "/app/static/", "/component/", "/_stcore/"])
@pytest.mark.parametrize(
    "step", ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..\\", "%252e%252e%252f", "....//"]
)
def test_no_path_leads_to_other_files(served: Served, folder: Path, start: str, step: str) -> None:
    for target in (f"{folder}/secret.txt", f"{folder}/run/notes.txt", "/etc/passwd"):
        found = answer(served, start + step * 12 + target.lstrip("/"))
        assert SECRET not in found and "root:" not in found


@pytest.mark.slow
def test_files_of_the_run_itself_are_not_served(served: Served, folder: Path) -> None:
    for name in ("run.json", "results.jsonl", "review.sqlite", "notes.txt", f"{folder}/run/run.json", DEEP):
        for start in ("/", "/static/", "/app/static/", "/media/"):
            found = answer(served, f"{start}{name}")
            assert SECRET not in found and '"schema_version"' not in found and "SQLite format" not in found


@pytest.mark.slow
def test_it_answers_to_its_own_name_alone(served: Served) -> None:
    """Else a site whose name leads to 127.0.0.1 could talk to the page (DNS rebinding)."""
    assert " 200 " in answer(served, "/_stcore/health").splitlines()[0]
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Protocol: streamlit\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    own = answer(served, "/_stcore/stream", headers=f"Origin: {served.url}\r\n{upgrade}")
    assert " 101 " in own.splitlines()[0]
    for host in (SITE, f"{SITE}:80", f"127.0.0.1.{SITE}"):
        for origin in (f"http://{host}", served.url):
            found = answer(served, "/_stcore/stream", host, f"Origin: {origin}\r\n{upgrade}")
            assert " 101 " not in found.splitlines()[0]


@pytest.mark.slow
def test_another_site_can_neither_read_nor_change_anything(served: Served, folder: Path) -> None:
    place = urlsplit(served.url)
    with other_site() as port, opened(f"--host-resolver-rules=MAP {SITE} 127.0.0.1") as browser:
        found = _attacked(browser, f"http://{SITE}:{port}/", place.netloc)
    assert found["socket"] == "refused"
    assert found["health"] == found["upload"] == "unreadable"
    assert Store(folder / "run").latest() == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["127.0.0.1", SITE])
def test_another_site_cannot_show_it_in_a_frame(served: Served, folder: Path, name: str) -> None:
    """Else people could be led to click on what they do not see. Another port is another site too."""
    with other_site() as port, opened(f"--host-resolver-rules=MAP {SITE} 127.0.0.1") as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"http://{name}:{port}/")
        page.evaluate(FRAME, served.url)
        assert PAGE_ROOT not in page.frames[1].content()
        own = browser.new_page()  # as large as the frame; the framed page has as long to be drawn as this one
        own.set_default_timeout(PATIENCE_MS)
        own.goto(served.url)
        place = own.get_by_role("button", name="Accept").bounding_box()
        assert place is not None and PAGE_ROOT in own.content()
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        own.reload()
        own.get_by_role("button", name="Accept").wait_for()
        own.get_by_text("0 of ").wait_for()  # reviewed
        # Components of Streamlit may have frames of the page's own origin.
        assert own.evaluate(FRAME, f"{served.url}/_stcore/health") == "ok"
    assert Store(folder / "run").latest() == {}


def _attacked(browser: Browser, site: str, target: str) -> dict[str, Any]:
    """What a page of another site gets when it asks for the review: by a socket and by requests."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(site)
    script = """async target => {
        const reading = (path, options) =>
            fetch(`http://${target}${path}`, options).then(one => one.text(), () => "unreadable");
        const socket = new Promise(done => {
            const one = new WebSocket(`ws://${target}/_stcore/stream`, ["streamlit"]);
            one.onopen = () => done("open");
            one.onerror = one.onclose = () => done("refused");
        });
        const file = new FormData();
        file.append("file", new Blob(["x"]), "x.csv");
        return {
            health: await reading("/_stcore/health"),
            upload: await reading("/_stcore/upload_file/a/b", {method: "PUT", body: file}),
            socket: await socket,
        };
    }"""
    found: dict[str, Any] = page.evaluate(script, target)
    page.close()
    return found


class _Empty(BaseHTTPRequestHandler):
    """The page of another site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body></body>")

    def log_message(self, format: str, *args: object) -> None:
        return
