"""What is sent compressed, what is not, and that either is what it claims to be."""

import gzip
from collections.abc import Iterator

import pytest
from quart import Quart

from tests.client import Reply
from tests.server import Server
from webapp.paths import STATIC
from webapp.web.assets import ASSETS, asset
from webapp.web.compression import Content, answered, takes_gzip

GZIP = {"Accept-Encoding": "gzip, deflate, br, zstd"}
SHEET = "/static/app.css"
PUBLIC = ["/ui", "/ui/events/gig", "/ui/events/gig/ledger"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a gig, at which Bob has a ticket."""
    with Server(tmp_path_factory.mktemp("compression")) as server:
        assert server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 2}).status == 200
        assert server.ask("POST /book", {"eventId": "gig", "userId": "Bob"}).status == 200
        yield server


def varies(reply: Reply) -> set[str]:
    """What the answer depends on, by its `Vary`."""
    return {name.strip().lower() for value in reply.headers.get_all("Vary", []) for name in value.split(",")}


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP;q=0.1", True),
        ("*", True),
        ("identity;q=0, *", True),
        ("identity;q=0.5, gzip", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=much", False),
        (",;=,q=1;;", False),
    ],
)
def test_a_client_gets_what_it_says_that_it_takes(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


@pytest.mark.parametrize("page", [*PUBLIC, SHEET, asset("vendor/htmx-2.0.11.min.js"), asset("ledger.js")])
def test_compressed_it_is_less_of_the_same(server: Server, page: str) -> None:
    whole, less = server.ask(f"GET {page}"), server.ask(f"GET {page}", None, GZIP)
    assert (whole.status, less.status) == (200, 200)
    assert "Content-Encoding" not in whole.headers
    assert less.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(less.body) == whole.body
    assert int(less.headers["Content-Length"]) == len(less.body) < len(whole.body)
    assert int(whole.headers["Content-Length"]) == len(whole.body)
    for reply in (whole, less):
        assert "accept-encoding" in varies(reply)
    assert whole.headers["ETag"] != less.headers["ETag"]
    assert whole.headers["Content-Type"] == less.headers["Content-Type"]


@pytest.mark.parametrize("page", [*PUBLIC, SHEET])
@pytest.mark.parametrize("headers", [GZIP, {}])
def test_a_head_tells_the_same_without_the_body(server: Server, page: str, headers: dict[str, str]) -> None:
    head, get = server.ask(f"HEAD {page}", None, headers), server.ask(f"GET {page}", None, headers)
    assert head.body == b""
    for name in ("Content-Length", "Content-Encoding", "Content-Type", "ETag", "Vary", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("page", [*PUBLIC, SHEET])
@pytest.mark.parametrize("headers", [GZIP, {}])
def test_who_has_it_already_is_not_sent_it_again(server: Server, page: str, headers: dict[str, str]) -> None:
    known = server.ask(f"GET {page}", None, headers)
    again = server.ask(f"GET {page}", None, {**headers, "If-None-Match": known.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control"):
        assert again.headers[name] == known.headers[name]
    assert "Content-Length" not in again.headers
    assert server.ask(f"GET {page}", None, {**headers, "If-None-Match": '"another"'}).status == 200


def test_a_page_that_has_changed_is_sent_again(server: Server) -> None:
    before = server.ask("GET /ui/events/gig", None, GZIP).headers["ETag"]
    assert server.ask("POST /book", {"eventId": "gig", "userId": "Cleo"}).status == 200
    assert server.ask("GET /ui/events/gig", None, {**GZIP, "If-None-Match": before}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ui/sign-in"),
        ("GET", "/ui/nowhere"),
        ("GET", "/ui/events/gig/ledger?entry=1&hash=abc"),
        ("POST", "/ui/events/gig/place"),
        ("GET", "/status/gig"),
        ("GET", "/api/v1/events/gig"),
        ("GET", "/api/v1/events/gig/ledger"),
        ("HEAD", "/ui/events/gig/stream"),
        ("HEAD", "/ui/events/gig/ledger/stream"),
        ("HEAD", "/api/v1/events/gig/stream"),
    ],
)
def test_what_is_personal_a_stream_or_for_programs_is_not_compressed(server: Server, method: str, path: str) -> None:
    reply = server.ask(f"{method} {path}", None, {**GZIP, "Sec-Fetch-Site": "same-origin"})
    assert "Content-Encoding" not in reply.headers


def test_a_page_is_not_compressed_any_more_once_it_holds_somebodys_place(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    booked = server.ask("POST /ui/events/gig/orders", b"userId=Dan&name=Dan&email=dan%40example.org", form)
    assert booked.status == 303
    cookie = booked.headers["Set-Cookie"].partition(";")[0]
    own = server.ask("GET /ui/events/gig", None, {**GZIP, "Cookie": cookie})
    assert own.status == 200
    assert "Content-Encoding" not in own.headers
    assert "ETag" not in own.headers
    assert own.headers["Cache-Control"] == "no-store"


def test_parts_are_cut_out_of_the_whole(server: Server) -> None:
    whole = (STATIC / "app.css").read_bytes()
    part = server.ask(f"GET {SHEET}", None, {**GZIP, "Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert "Content-Encoding" not in part.headers
    for wanted, cut in [("bytes=-5", whole[-5:]), ("bytes=5-", whole[5:]), ("bytes=0-99999999", whole)]:
        rest = server.ask(f"GET {SHEET}", None, {"Range": wanted})
        assert (rest.status, rest.body) == (206, cut)
        assert int(rest.headers["Content-Length"]) == len(cut)
    for odd in ("bytes=0-1,4-5", "bytes=x", "bytes=9-1", "lines=1-2", ""):
        assert server.ask(f"GET {SHEET}", None, {"Range": odd}).body == whole
    beyond = server.ask(f"GET {SHEET}", None, {"Range": f"bytes={len(whole)}-"})
    assert beyond.status == 416
    for headers, status in [(GZIP, 200), ({}, 206)]:
        tag = server.ask(f"GET {SHEET}", None, headers).headers["ETag"]
        assert server.ask(f"GET {SHEET}", None, {**headers, "Range": "bytes=10-", "If-Range": tag}).status == status


@pytest.mark.parametrize("version", ["", "?v=", "?v=0000000000", "?v", "?w={right}", "?v={right}0", "?v=0&v={right}"])
def test_a_file_is_kept_for_good_only_under_the_address_of_its_version(server: Server, version: str) -> None:
    right = ASSETS["app.css"].version
    reply = server.ask(f"GET {SHEET}{version.format(right=right)}")
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-cache")
    kept = server.ask(f"GET {asset('app.css')}")
    assert (kept.body, kept.headers["Cache-Control"]) == (reply.body, "public, max-age=31536000, immutable")


@pytest.mark.parametrize("headers", [GZIP, {}])
@pytest.mark.parametrize("status", [404, 422])
async def test_who_has_an_error_page_already_is_sent_it_again(status: int, headers: dict[str, str]) -> None:
    content = Content(b"There is no such page. " * 20)
    tags = f'"{content.tag}", "{content.tag}-gzip"'
    async with Quart(__name__).test_request_context("/", headers={**headers, "If-None-Match": tags}):
        assert answered(content, "text/html").status_code == 304
        answer = answered(content, "text/html", status=status)
    assert answer.status_code == status
    assert "ETag" not in answer.headers
    body = await answer.get_data(as_text=False)
    assert (gzip.decompress(body) if headers else body) == content.body


def test_what_compressing_would_only_lengthen_stays_as_it_is() -> None:
    assert Content(b"short").gzipped is None
    assert Content(b"long, " * 100).gzipped is not None


def test_every_file_was_compressed_at_the_start() -> None:
    for found in ASSETS.values():
        assert "gzipped" in vars(found.content)


def test_browsers_are_told_what_a_file_is(server: Server) -> None:
    for name, media_type in [
        ("ledger.js", "text/javascript; charset=utf-8"),
        ("app.css", "text/css; charset=utf-8"),
        ("icons.svg", "image/svg+xml"),
        ("vendor/manifest.json", "application/json"),
    ]:
        assert server.ask(f"GET /static/{name}").headers["Content-Type"] == media_type


def test_search_engines_are_kept_from_what_is_personal(server: Server) -> None:
    reply = server.ask("GET /robots.txt")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    for line in ("Allow: /", "Disallow: /ui/orders/", "Disallow: /ui/organise"):
        assert line in reply.body.decode().splitlines()
