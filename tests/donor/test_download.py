"""Downloads against a server on this machine that breaks off, lies, or ignores Range."""

import hashlib
import http.server
import re
import threading
from dataclasses import replace
from functools import partial

import pytest

from pycaffe_ext.donor import weights
from pycaffe_ext.errors import UserError

CONTENT = bytes(range(256)) * 4000
SHA1 = hashlib.sha1(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """/good serves CONTENT with Range, /broken 300 000 bytes a time, /plain has no Range, /wrong and /page lie."""

    def __init__(self, seen, *arguments):
        self.seen = seen
        super().__init__(*arguments)

    def do_GET(self):
        asked = self.headers.get("Range")
        self.seen.append((self.path, asked))
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.path != "/plain" else 0
        if self.path not in ("/good", "/broken", "/plain", "/wrong", "/page"):
            self.send_error(404)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = (CONTENT if self.path != "/wrong" else CONTENT[::-1])[start:]
        if self.path == "/page":
            body = b"<html>moved</html>"
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:300_000] if self.path == "/broken" else body)

    def log_message(self, *arguments):
        """Keeps the test's output clean."""


@pytest.fixture
def server(monkeypatch):
    """Returns offer(*paths): what makes these the sources of a known name; and the list of requests seen."""
    seen = []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, seen))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")

    def offer(*paths):
        urls = tuple(f"http://127.0.0.1:{httpd.server_port}{path}" for path in paths)
        monkeypatch.setitem(
            weights.KNOWN, "small", weights.Source("small.caffemodel", SHA1, len(CONTENT), urls, page="")
        )

    yield offer, seen
    httpd.shutdown()
    httpd.server_close()


def test_a_download_appears_whole_and_only_once(server, tmp_path):
    offer, seen = server
    offer("/good")
    path = weights.get("small", tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert weights.resolve("small", tmp_path / "new") == path
    assert seen == [("/good", None)]
    assert sorted(p.name for p in path.parent.iterdir()) == ["small.caffemodel", "small.card.prototxt"]


def test_an_interrupted_download_goes_on_where_it_broke_off(server, tmp_path):
    offer, seen = server
    offer("/broken")
    with pytest.raises(UserError, match="broke off at 300000 of 1024000 bytes"):
        weights.get("small", tmp_path)
    assert not (tmp_path / "small.caffemodel").exists()
    assert (tmp_path / "small.caffemodel.part").read_bytes() == CONTENT[:300_000]
    offer("/good")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT
    assert seen == [("/broken", None), ("/good", "bytes=300000-")]


def test_another_source_goes_on_within_one_call(server, tmp_path):
    offer, seen = server
    offer("/absent", "/broken", "/good")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in seen] == [None, None, "bytes=300000-"]


def test_a_server_without_range_starts_anew(server, tmp_path):
    offer, _ = server
    (tmp_path / "small.caffemodel.part").write_bytes(CONTENT[:1000])
    offer("/plain")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    offer, _ = server
    (tmp_path / "small.caffemodel.part").write_bytes(CONTENT)
    offer("/good")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_the_next_source_is_asked(server, tmp_path):
    offer, seen = server
    offer("/wrong")
    with pytest.raises(UserError, match=r"/wrong: sha1 is [0-9a-f]{40}\); download it by hand"):
        weights.get("small", tmp_path)
    assert list(tmp_path.iterdir()) == []
    offer("/wrong", "/good")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT
    assert seen[-1] == ("/good", None)


def test_a_wrong_part_does_not_spoil_the_only_source(server, tmp_path):
    offer, _ = server
    (tmp_path / "small.caffemodel.part").write_bytes(b"?" * 1000)
    offer("/good")
    assert weights.get("small", tmp_path).read_bytes() == CONTENT


def test_a_web_page_instead_of_the_file_leaves_the_part_alone(server, tmp_path):
    offer, _ = server
    part = tmp_path / "small.caffemodel.part"
    part.write_bytes(CONTENT[:1000])
    offer("/page")
    with pytest.raises(UserError, match="/page: answers with something else"):
        weights.get("small", tmp_path)
    assert part.read_bytes() == CONTENT[:1000]


def test_no_source_says_what_to_do(server, tmp_path):
    offer, _ = server
    offer("/absent")
    offered = weights.KNOWN["small"]
    weights.KNOWN["small"] = replace(offered, urls=(*offered.urls, "http://127.0.0.1:9/x"))
    with pytest.raises(UserError) as told:
        weights.get("small", tmp_path)
    assert "/absent: HTTP Error 404" in str(told.value) and "127.0.0.1:9/x: [Errno 111]" in str(told.value)
    assert str(told.value).endswith(f"by hand (sha1 {SHA1}) and pass WEIGHTS=path/to/small.caffemodel")
    assert list(tmp_path.iterdir()) == []


def test_the_known_weights_have_several_sources():
    alexnet = weights.KNOWN["bvlc_alexnet"]
    assert alexnet.sha1 == "9116a64c0fbe4459d18f4bb6b56d647b63920377"
    assert len(alexnet.urls) >= 3 and len(set(alexnet.urls)) == len(alexnet.urls)
