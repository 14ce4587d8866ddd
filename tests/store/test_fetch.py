"""Downloads from a local server: cut off and gone on with, refused where the bytes are others."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from pipeline.core.errors import DownloadError, ResourceError
from pipeline.store.fetch import fetch
from pipeline.store.lock import hold_lock

DATA = bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(HTTPServer):
    """Serves DATA at any path but /absent; `sent` is what each answer began with, `cut` where an answer breaks off."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent: list[int] = []
        self.cut: int | None = None
        self.knows_ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers["Range"] if self.server.knows_ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if self.path == "/absent":
            self.send_error(404)
            return
        if start >= len(DATA):
            self.send_error(416)
            return
        self.server.sent.append(start)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start : self.server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_goes_on_where_it_was_cut_off(server, tmp_path, knows_ranges):
    server.cut, server.knows_ranges = 1000, knows_ranges
    path, said = tmp_path / "new" / "weights.pt", []
    part = path.with_name("weights.pt.part")
    with pytest.raises(DownloadError, match=r"cut off after 1,000 of 5,120 bytes\); 1,000 bytes are in \S+\.pt\.part"):
        fetch(server.url, path, sha256=SHA256)
    assert part.read_bytes() == DATA[:1000] and not path.exists()
    server.cut = None
    fetch(server.url, path, sha256=SHA256[:8], report=lambda done, total: said.append((done, total)))
    assert path.read_bytes() == DATA
    assert server.sent == [0, 1000 if knows_ranges else 0]
    assert said == [(5120, 5120)]
    assert [file.name for file in path.parent.iterdir()] == ["weights.pt"]


@pytest.mark.parametrize("there", [b"", b"x" * 1000, b"x" * 5120])
def test_of_other_bytes_nothing_is_kept(server, tmp_path, there):
    """Those of the server, or of an earlier part that is of another file, which may be as long as this one."""
    (tmp_path / "a.pt.part").write_bytes(there)
    with pytest.raises(DownloadError, match=r"weights\.pt: not the published file \(.*sha256 .*\); nothing was kept"):
        fetch(server.url, tmp_path / "a.pt", sha256=SHA256 if there else "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_whole_is_taken(server, tmp_path):
    (tmp_path / "a.pt.part").write_bytes(DATA)
    fetch(server.url, tmp_path / "a.pt", sha256=SHA256)
    assert (tmp_path / "a.pt").read_bytes() == DATA and server.sent == []


def test_no_server_no_file_and_no_room_are_one_line(server, tmp_path, monkeypatch):
    with pytest.raises(DownloadError, match=r"/absent: cannot be downloaded \(HTTP Error 404: Not Found\)$"):
        fetch(server.url.replace("weights.pt", "absent"), tmp_path / "a", sha256="")
    with pytest.raises(DownloadError, match=r"cannot be downloaded \(.*refused"):
        fetch("http://127.0.0.1:1/a", tmp_path / "a", sha256="")
    monkeypatch.setattr("pipeline.store.files.shutil.disk_usage", lambda path: SimpleNamespace(free=5119))
    with pytest.raises(ResourceError, match=r"download: 0.0 MB of disk"):
        fetch(server.url, tmp_path / "a", sha256="")
    assert list(tmp_path.iterdir()) == []


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path, monkeypatch):
    def refuse(path, work):
        raise ResourceError(work)

    monkeypatch.setattr(f"{fetch.__module__}.{hold_lock.__name__}", refuse)
    with pytest.raises(ResourceError, match=r"download of .*a\.pt"):
        fetch(server.url, tmp_path / "a.pt", sha256=SHA256)
    assert server.sent == []
