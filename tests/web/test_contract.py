"""The original routes, and everything that the contract says of them, as one table: request, status, body.

The table is asked, row by row, of a real server. Every answer in it, whatever else it is, must wear the security
headers and a request id of its own, and every problem must have exactly the members of a problem.
"""

import asyncio
import base64
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.client import TIMEOUT_S, Body, Connection, Reply, basic
from tests.server import PASSWORD, USER, Server, free_port
from webapp.web.passwords import PasswordFile
from webapp.web.secrets import Secrets
from webapp.web.tokens import Tokens

# Under a sentence stand the requests that show it, and below them the answer that each of them gets. A request begins
# with who makes it. An answer is a status with exactly this JSON, or with the code of a problem and, behind it, the
# fields at fault or the words of the error. What is indented deeper is a header; a `*` in it stands for anything.
TABLE = r"""
== An event is opened

No route knows an event that has not been opened.
    nobody  GET /status/gig
    nobody  POST /book {"eventId": "gig", "userId": "bob"}
    basic   POST /cancel {"eventId": "gig", "userId": "bob"}
    404     event_not_found: Event not found

The organiser opens one, with a password or a token.
    basic   POST /initialize {"eventId": "gig", "tickets": 2}
    200     {"eventId": "gig", "tickets": 2}
    bearer  POST /initialize {"eventId": "talk", "tickets": 0}
    200     {"eventId": "talk", "tickets": 0}

Whole numbers are whole however they are written.
    basic   POST /initialize {"eventId": "five", "tickets": 5.0}
    basic   POST /initialize {"eventId": "five", "tickets": 0.5e1}
    200     {"eventId": "five", "tickets": 5}
    basic   POST /initialize {"eventId": "stadium", "tickets": 1000000}
    200     {"eventId": "stadium", "tickets": 1000000}

Opening it again with the same tickets is a safe retry; with others, it is refused.
    nobody  POST /book {"eventId": "gig", "userId": "bob"}
    200     {"assigned": true}
    basic   POST /initialize {"eventId": "gig", "tickets": 2}
    200     {"eventId": "gig", "tickets": 2}
    basic   POST /initialize {"eventId": "gig", "tickets": 3}
    basic   POST /initialize {"eventId": "gig", "tickets": 1}
    409     event_exists

Either way, nothing is touched.
    nobody  GET /status/gig
    200     {"eventId": "gig", "total": 2, "available": 1, "waitingList": 0}

Only the organiser can do it.
    nobody  POST /initialize {"eventId": "own", "tickets": 2}
    401     not_authenticated
    nobody  GET /status/own
    404     event_not_found: Event not found

== Bookings and cancellations

    basic   POST /initialize {"eventId": "party", "tickets": 1}
    200     {"eventId": "party", "tickets": 1}

While a ticket is free, it is assigned; then guests wait.
    nobody  POST /book {"eventId": "party", "userId": "bob"}
    200     {"assigned": true}
    nobody  POST /book {"eventId": "party", "userId": "cleo"}
    nobody  POST /book {"eventId": "party", "userId": "dan"}
    200     {"assigned": false}
    nobody  GET /status/party
    200     {"eventId": "party", "total": 1, "available": 0, "waitingList": 2}
            ETag: "4-*"

Who books again keeps what he has.
    nobody  POST /book {"eventId": "party", "userId": "bob"}
    200     {"assigned": true, "message": "Already booked"}
    nobody  POST /book {"eventId": "party", "userId": "cleo"}
    200     {"assigned": false, "message": "Already on the waiting list"}
    nobody  GET /status/party
    200     {"eventId": "party", "total": 1, "available": 0, "waitingList": 2}
            ETag: "4-*"

Only the organiser can cancel, and nobody's userId is enough.
    nobody  POST /cancel {"eventId": "party", "userId": "bob"}
    401     not_authenticated

A cancelled ticket goes to whoever has waited longest.
    basic   POST /cancel {"eventId": "party", "userId": "bob"}
    200     {"reassignedTo": "cleo"}
    nobody  POST /book {"eventId": "party", "userId": "cleo"}
    200     {"assigned": true, "message": "Already booked"}

Who books again after a cancellation is at the back.
    nobody  POST /book {"eventId": "party", "userId": "bob"}
    200     {"assigned": false}

Where somebody who waits is cancelled, nobody is promoted.
    bearer  POST /cancel {"eventId": "party", "userId": "dan"}
    200     {"reassignedTo": null}
    nobody  GET /status/party
    200     {"eventId": "party", "total": 1, "available": 0, "waitingList": 1}

There is nothing to cancel twice, or for a stranger.
    basic   POST /cancel {"eventId": "party", "userId": "dan"}
    basic   POST /cancel {"eventId": "party", "userId": "eve"}
    404     order_not_found: No booking or waiting entry for user

The last ticket that is cancelled comes free.
    basic   POST /cancel {"eventId": "party", "userId": "cleo"}
    200     {"reassignedTo": "bob"}
    basic   POST /cancel {"eventId": "party", "userId": "bob"}
    200     {"reassignedTo": null}
    nobody  GET /status/party
    200     {"eventId": "party", "total": 1, "available": 1, "waitingList": 0}

Where there are no tickets, everybody waits.
    basic   POST /initialize {"eventId": "rumour", "tickets": 0}
    200     {"eventId": "rumour", "tickets": 0}
    nobody  POST /book {"eventId": "rumour", "userId": "bob"}
    200     {"assigned": false}

== What has been seen need not be sent again

    basic   POST /initialize {"eventId": "seen", "tickets": 1}
    200     {"eventId": "seen", "tickets": 1}
    nobody  GET /status/seen
    200     {"eventId": "seen", "total": 1, "available": 1, "waitingList": 0}
            Content-Type: application/json
            ETag: "*"
    nobody  GET /status/seen
            If-None-Match: <etag>
    nobody  GET /status/seen
            If-None-Match: W/<etag>
    nobody  GET /status/seen
            If-None-Match: "other", <etag>
    nobody  GET /status/seen
            If-None-Match: *
    304
            ETag: <etag>
    nobody  GET /status/seen
            If-None-Match: "other"
    nobody  GET /status/seen
            If-None-Match: rubbish
    200     {"eventId": "seen", "total": 1, "available": 1, "waitingList": 0}
            ETag: <etag>

Whatever changes, changes the ETag.
    nobody  POST /book {"eventId": "seen", "userId": "bob"}
    200     {"assigned": true}
    nobody  GET /status/seen
            If-None-Match: <etag>
    200     {"eventId": "seen", "total": 1, "available": 0, "waitingList": 0}
            ETag: "*"

Only the head of it may be asked for.
    nobody  HEAD /status/seen
    200
            ETag: <etag>

== Ids

An id with slashes is reached with and without %2F.
    basic   POST /initialize {"eventId": "2026/11/gala", "tickets": 1}
    200     {"eventId": "2026/11/gala", "tickets": 1}
    nobody  GET /status/2026/11/gala
    nobody  GET /status/2026%2F11%2Fgala
    nobody  GET /status/2026/11%2fgala
    200     {"eventId": "2026/11/gala", "total": 1, "available": 1, "waitingList": 0}

Slashes may come in pairs, and at the end.
    basic   POST /initialize {"eventId": "a//b/", "tickets": 1}
    200     {"eventId": "a//b/", "tickets": 1}
    nobody  GET /status/a//b/
    nobody  GET /status/a%2F%2Fb%2F
    200     {"eventId": "a//b/", "total": 1, "available": 1, "waitingList": 0}
    nobody  GET /status/a/b/
    nobody  GET /status/a//b
    404     event_not_found: Event not found

What means something in an address means nothing in an id.
    basic   POST /initialize {"eventId": "100% <b>gratis</b>? #1 & + ;", "tickets": 1}
    200     {"eventId": "100% <b>gratis</b>? #1 & + ;", "tickets": 1}
    nobody  GET /status/100%25%20%3Cb%3Egratis%3C/b%3E%3F%20%231%20&%20+%20;
    200     {"eventId": "100% <b>gratis</b>? #1 & + ;", "total": 1, "available": 1, "waitingList": 0}

However a keyboard composes an é, it is one, in NFC.
    basic   POST /initialize {"eventId": "Cafe\u0301", "tickets": 1}
    200     {"eventId": "Caf\u00e9", "tickets": 1}
    nobody  GET /status/Caf%C3%A9
    nobody  GET /status/Cafe%CC%81
    200     {"eventId": "Caf\u00e9", "total": 1, "available": 1, "waitingList": 0}
    nobody  POST /book {"eventId": "Caf\u00e9", "userId": "Rene\u0301"}
    200     {"assigned": true}
    nobody  POST /book {"eventId": "Cafe\u0301", "userId": "Ren\u00e9"}
    200     {"assigned": true, "message": "Already booked"}

An id has at most 255 characters, of any width.
    basic   POST /initialize {"eventId": "<255-letters>", "tickets": 1}
    200     {"eventId": "<255-letters>", "tickets": 1}
    nobody  POST /book {"eventId": "<255-letters>", "userId": "<255-party-poppers>"}
    200     {"assigned": true}
    nobody  GET /status/<255-letters>
    200     {"eventId": "<255-letters>", "total": 1, "available": 0, "waitingList": 0}
    basic   POST /initialize {"eventId": "<255-letters>x", "tickets": 1}
    400     invalid_input /eventId
    nobody  POST /book {"eventId": "<255-letters>", "userId": "<255-party-poppers>x"}
    400     invalid_input /userId

An id is a text, and is never made of anything else.
    basic   POST /initialize {"eventId": 1, "tickets": 1}
    basic   POST /initialize {"eventId": 1.5, "tickets": 1}
    basic   POST /initialize {"eventId": true, "tickets": 1}
    basic   POST /initialize {"eventId": null, "tickets": 1}
    basic   POST /initialize {"eventId": ["gig"], "tickets": 1}
    basic   POST /initialize {"eventId": {"id": "gig"}, "tickets": 1}
    basic   POST /initialize {"tickets": 1}
    400     invalid_input /eventId

It is not blank, has no white space at its ends, and holds nothing that cannot be seen.
    basic   POST /initialize {"eventId": "", "tickets": 1}
    basic   POST /initialize {"eventId": " ", "tickets": 1}
    basic   POST /initialize {"eventId": "\u3000", "tickets": 1}
    basic   POST /initialize {"eventId": " gig", "tickets": 1}
    basic   POST /initialize {"eventId": "gig\u00a0", "tickets": 1}
    basic   POST /initialize {"eventId": "gig\n", "tickets": 1}
    basic   POST /initialize {"eventId": "g\u0000g", "tickets": 1}
    basic   POST /initialize {"eventId": "g\u200bg", "tickets": 1}
    basic   POST /initialize {"eventId": "g\u202eg", "tickets": 1}
    basic   POST /initialize {"eventId": "g\ud800g", "tickets": 1}
    400     invalid_input /eventId
    nobody  POST /book {"eventId": "talk", "userId": "g\ud800g"}
    nobody  POST /book {"eventId": "talk", "userId": "\u0085"}
    nobody  POST /book {"eventId": "talk", "userId": " dan"}
    400     invalid_input /userId

An event must be reachable, so that no id begins with a slash, or is a dot or two.
    basic   POST /initialize {"eventId": "/gig", "tickets": 1}
    basic   POST /initialize {"eventId": "/", "tickets": 1}
    basic   POST /initialize {"eventId": ".", "tickets": 1}
    basic   POST /initialize {"eventId": "..", "tickets": 1}
    400     invalid_input /eventId
    basic   POST /initialize {"eventId": "...", "tickets": 1}
    200     {"eventId": "...", "tickets": 1}
    nobody  POST /book {"eventId": "...", "userId": "/"}
    nobody  POST /book {"eventId": "...", "userId": ".."}
    200     *

An address that no id can have leads to no event.
    nobody  GET /status/%20gig
    nobody  GET /status/%00
    nobody  GET /status/%FF
    nobody  GET /status/a%0Ab
    nobody  GET /status/%0A
    nobody  GET /status/%ED%A0%80
    nobody  GET /status/%2E%2E
    nobody  GET /status/<255-letters>x
    404     event_not_found: Event not found

== Tickets

The number of tickets is a whole number from 0 to 1,000,000.
    basic   POST /initialize {"eventId": "odd", "tickets": -1}
    basic   POST /initialize {"eventId": "odd", "tickets": 1000001}
    basic   POST /initialize {"eventId": "odd", "tickets": 1e30}
    basic   POST /initialize {"eventId": "odd", "tickets": 1.5}
    basic   POST /initialize {"eventId": "odd", "tickets": 1e-9}
    basic   POST /initialize {"eventId": "odd", "tickets": "5"}
    basic   POST /initialize {"eventId": "odd", "tickets": ""}
    basic   POST /initialize {"eventId": "odd", "tickets": true}
    basic   POST /initialize {"eventId": "odd", "tickets": false}
    basic   POST /initialize {"eventId": "odd", "tickets": null}
    basic   POST /initialize {"eventId": "odd", "tickets": [5]}
    basic   POST /initialize {"eventId": "odd", "tickets": {}}
    basic   POST /initialize {"eventId": "odd"}
    400     invalid_input /tickets

What is no number in JSON, or none that a double holds, makes no JSON.
    basic   POST /initialize {"eventId": "odd", "tickets": NaN}
    basic   POST /initialize {"eventId": "odd", "tickets": Infinity}
    basic   POST /initialize {"eventId": "odd", "tickets": -Infinity}
    basic   POST /initialize {"eventId": "odd", "tickets": 1e999}
    basic   POST /initialize {"eventId": "odd", "tickets": <400-digits>}
    basic   POST /initialize {"eventId": "odd", "tickets": 05}
    basic   POST /initialize {"eventId": "odd", "tickets": 0x5}
    400     invalid_json

None of these has opened an event.
    nobody  GET /status/odd
    404     event_not_found: Event not found

== Bodies

    basic   POST /initialize {"eventId": "form", "tickets": 9}
    200     {"eventId": "form", "tickets": 9}

A body is JSON, and says so.
    nobody  POST /book {"eventId": "form", "userId": "1"}
            Content-Type: application/json
    nobody  POST /book {"eventId": "form", "userId": "2"}
            Content-Type: APPLICATION/JSON; charset=UTF-8
    nobody  POST /book {"eventId": "form", "userId": "3"}
            Content-Type: application/ld+json
    nobody  POST /book {"eventId": "form", "userId": "4", "eventID": 1, "name": {"first": ["Dan"]}}
    200     {"assigned": true}
    nobody  POST /book {"eventId": "form", "userId": "5"}
            Content-Type:
    nobody  POST /book {"eventId": "form", "userId": "5"}
            Content-Type: text/plain
    nobody  POST /book {"eventId": "form", "userId": "5"}
            Content-Type: application/json; charset=latin-1
    nobody  POST /book eventId=form&userId=5
            Content-Type: application/x-www-form-urlencoded
    nobody  POST /book
    415     unsupported_media_type

It is an object.
    nobody  POST /book []
    nobody  POST /book [{"eventId": "form", "userId": "5"}]
    nobody  POST /book "form"
    nobody  POST /book 5
    nobody  POST /book null
    400     invalid_json

It is well-formed, says everything once, and is nested no deeper than 8 levels.
    nobody  POST /book {"eventId": "form", "userId": "5"
    nobody  POST /book {"eventId": "form", "userId": "5",}
    nobody  POST /book {'eventId': 'form', 'userId': '5'}
    nobody  POST /book {"eventId": "form", "userId": "5"} {}
    nobody  POST /book {"eventId": "form", "userId": "5", "userId": "6"}
    nobody  POST /book {"eventId": "form", "userId": "5", "more": {"a": 1, "a": 1}}
    nobody  POST /book {"eventId": "form", "userId": "5", "more": [[[[[[[[]]]]]]]]}
    nobody  POST /book {"eventId": "form", "userId": "5", "more": <1,000-levels>}
    400     invalid_json
    nobody  POST /book {"eventId": "form", "userId": "6", "more": [[[[[[[]]]]]]]}
    200     {"assigned": true}

It has at most 64 KiB.
    nobody  POST /book {"eventId": "form", "userId": "7", "more": "<65,536 bytes in all>"}
    200     {"assigned": true}
    nobody  POST /book {"eventId": "form", "userId": "8", "more": "<65,537 bytes in all>"}
    413     too_large

Every field at fault is named.
    basic   POST /initialize {"eventId": " ", "tickets": "many"}
    400     invalid_input /eventId /tickets
    nobody  POST /book {}
    400     invalid_input /eventId /userId

Six guests have booked, and nothing else has happened.
    nobody  GET /status/form
    200     {"eventId": "form", "total": 9, "available": 3, "waitingList": 0}
            ETag: "7-*"

== The order of the checks

Who asks comes first,
    nobody  POST /cancel nonsense
            Content-Type: text/plain
    nobody  POST /initialize {"more": "<99,999 bytes in all>"}
    401     not_authenticated
then the body,
    basic   POST /cancel nonsense
            Content-Type: text/plain
    415     unsupported_media_type
    basic   POST /cancel nonsense
    400     invalid_json
then its fields,
    basic   POST /cancel {"eventId": "nowhere"}
    nobody  POST /book {"eventId": "nowhere", "userId": 5}
    400     invalid_input /userId
then whether there is such an event,
    basic   POST /cancel {"eventId": "nowhere", "userId": "dan"}
    nobody  POST /book {"eventId": "nowhere", "userId": "dan"}
    404     event_not_found: Event not found
then the rules.
    basic   POST /initialize {"eventId": "checks", "tickets": 1}
    200     {"eventId": "checks", "tickets": 1}
    basic   POST /cancel {"eventId": "checks", "userId": "nobody"}
    404     order_not_found: No booking or waiting entry for user

== Addresses and methods

    nobody  GET /health
    200     {"ok": true}
    nobody  GET /healthz
    200     {"ok": true}
    nobody  GET /readyz
    200     {"ready": true}
    nobody  GET /
    302     *
            Location: /ui
    nobody  GET /ui
    200     *
            Content-Type: text/html*

An unknown address is a problem for programs, and a page for people.
    nobody  GET /nowhere
    nobody  GET /status
    nobody  GET /status/
    nobody  GET /status//gig
    nobody  GET /nowhere
            Accept: */*
    nobody  GET /nowhere
            Accept: application/json
    nobody  POST /nowhere {}
    404     not_found
    nobody  GET /nowhere
            Accept: <a browser's>
    nobody  GET /ui/nowhere
    nobody  GET /status/nowhere
            Accept: <a browser's>
    404     *
            Content-Type: text/html*

So is a method that an address does not know.
    nobody  GET /book
    nobody  PUT /initialize {}
    nobody  DELETE /cancel
    nobody  GET /auth/token
    405     method_not_allowed
            Allow: OPTIONS, POST
    nobody  POST /status/gig
    nobody  POST /health
    nobody  TRACE /
    405     method_not_allowed
            Allow: GET, HEAD, OPTIONS
    nobody  GET /book
            Accept: <a browser's>
    405     *
            Content-Type: text/html*
            Allow: OPTIONS, POST
    nobody  OPTIONS /book
    200
            Allow: *POST*

== Authentication

    basic   POST /initialize {"eventId": "door", "tickets": 1}
    200     {"eventId": "door", "tickets": 1}

The names of the schemes may be written in any case.
    BASIC   POST /initialize {"eventId": "door", "tickets": 1}
    bEARER  POST /initialize {"eventId": "door", "tickets": 1}
    200     {"eventId": "door", "tickets": 1}

Whoever is not the organiser learns both ways to show that he is.
    nobody                POST /cancel {"eventId": "door", "userId": "bob"}
    wrong-password        POST /cancel {"eventId": "door", "userId": "bob"}
    half-a-password       POST /cancel {"eventId": "door", "userId": "bob"}
    wrong-user            POST /cancel {"eventId": "door", "userId": "bob"}
    no-colon              POST /cancel {"eventId": "door", "userId": "bob"}
    no-base64             POST /cancel {"eventId": "door", "userId": "bob"}
    no-utf-8              POST /cancel {"eventId": "door", "userId": "bob"}
    no-scheme             POST /cancel {"eventId": "door", "userId": "bob"}
    other-scheme          POST /cancel {"eventId": "door", "userId": "bob"}
    401     not_authenticated
            WWW-Authenticate: Basic realm="Fairlist", charset="UTF-8"
            WWW-Authenticate: Bearer realm="Fairlist"

So does who has a token that is over, changed, unsigned, of another server, or none.
    expired               POST /cancel {"eventId": "door", "userId": "bob"}
    tampered              POST /cancel {"eventId": "door", "userId": "bob"}
    renamed               POST /cancel {"eventId": "door", "userId": "bob"}
    unsigned              POST /cancel {"eventId": "door", "userId": "bob"}
    stranger's            POST /cancel {"eventId": "door", "userId": "bob"}
    no-token              POST /cancel {"eventId": "door", "userId": "bob"}
    empty-token           POST /cancel {"eventId": "door", "userId": "bob"}
    401     not_authenticated
            WWW-Authenticate: Basic realm="Fairlist", charset="UTF-8"
            WWW-Authenticate: Bearer realm="Fairlist", error="invalid_token"

A token is given for the password, and never kept by anybody on the way.
    basic   POST /auth/token
    basic   POST /auth/token {"anything": "goes"}
    200     *
            Cache-Control: no-store
    nobody  POST /auth/token
    wrong-password  POST /auth/token
    401     not_authenticated
            WWW-Authenticate: Basic *
            WWW-Authenticate: Bearer *

It makes no other token, or it would never end.
    bearer  POST /auth/token
    401     not_authenticated
"""


_, *TITLES_AND_CHAPTERS = re.split(r"^== (.*)$", TABLE, flags=re.MULTILINE)
CHAPTERS = dict(zip(TITLES_AND_CHAPTERS[::2], TITLES_AND_CHAPTERS[1::2], strict=True))

ABBREVIATIONS = {
    "<255-letters>": "x" * 255,
    "<255-party-poppers>": "\N{PARTY POPPER}" * 255,
    "<400-digits>": "9" * 400,
    "<1,000-levels>": "[" * 1_000 + "]" * 1_000,
    "<a browser's>": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "*camera=()*",
}
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "error", "code", "request_id"}
SECRET = "what only these tests and their server know"


@dataclass(slots=True)
class Line:
    """A request or an answer of the table: its first word, the rest, and its headers."""

    first: str
    rest: str
    headers: list[tuple[str, str]] = field(default_factory=list)


def rows(chapter: str) -> list[tuple[Line, Line]]:
    """Every request of a chapter, with the next answer below it."""
    found: list[tuple[Line, Line]] = []
    requests: list[Line] = []
    line = Line("", "")
    for text in chapter.splitlines():
        match len(text) - len(text.lstrip()):
            case 0:
                continue
            case 4:
                first, _, rest = text.strip().partition(" ")
                line = Line(first, rest.strip())
                if first.isdecimal():
                    found += [(request, line) for request in requests]
                    requests = []
                else:
                    requests.append(line)
            case _:
                name, _, value = text.strip().partition(":")
                line.headers.append((name, value.strip()))
    assert not requests, f"no answer: {requests}"
    return found


def in_full(text: str, etag: str) -> str:
    """A text of the table with what is abbreviated there."""
    for abbreviation, meaning in {**ABBREVIATIONS, "<etag>": etag}.items():
        text = text.replace(abbreviation, meaning)
    if filled := re.search(r"<([0-9,]+) bytes in all>", text):
        rest = len(text.encode()) - len(filled[0])
        text = text.replace(filled[0], "x" * (int(filled[1].replace(",", "")) - rest))
    return text


def differences(reply: Reply, expected: Line, etag: str) -> Iterator[str]:
    """How a reply differs from an answer of the table."""
    if reply.status != int(expected.first):
        yield f"status {reply.status}"
    for name, value in expected.headers:
        if not any(fnmatchcase(sent, in_full(value, etag)) for sent in reply.headers.get_all(name, [])):
            yield f"{name}: {reply.headers.get_all(name)}"
    said = in_full(expected.rest, etag)
    if said.startswith("{"):
        if reply.headers["Content-Type"] != "application/json" or reply.json != json.loads(said):
            yield f"{reply.headers['Content-Type']} {reply.body.decode()}"
    elif not said:
        if reply.body:
            yield f"a body: {reply.body.decode()}"
    elif said != "*":
        yield from differences_of_problems(reply, said)
    yield from differences_of_manners(reply)


def differences_of_problems(reply: Reply, expected: str) -> Iterator[str]:
    """How a reply differs from a problem, which is told by its code, the fields at fault and the words of its error."""
    if reply.code is None:
        yield f"no problem, but {reply.headers['Content-Type']}"
        return
    code_and_fields, _, error = expected.partition(": ")
    code, *fields = code_and_fields.split()
    told = [problem["pointer"] for problem in reply.json.get("errors", [])]
    if (reply.code, told) != (code, fields) or error not in {"", reply.json["error"]}:
        yield reply.body.decode()


def differences_of_manners(reply: Reply) -> Iterator[str]:
    """How a reply differs from what every reply must be like."""
    for name, value in SECURITY_HEADERS.items():
        if [fnmatchcase(sent, value) for sent in reply.headers.get_all(name, [])] != [True]:
            yield f"{name}: {reply.headers.get_all(name)}"
    if not reply.headers["X-Request-ID"]:
        yield "no request id"
    if reply.code is None:
        return
    problem = reply.json
    if problem.keys() - {"errors"} != PROBLEM_MEMBERS:
        yield f"members {sorted(problem)}"
    if (problem["status"], problem["title"]) != (reply.status, HTTPStatus(reply.status).phrase):
        yield f"status and title {problem['status']} {problem['title']}"
    if problem["request_id"] != reply.headers["X-Request-ID"]:
        yield f"another request id: {problem['request_id']}"
    if not all(error.keys() == {"pointer", "detail"} and error["detail"] for error in problem.get("errors", [])):
        yield f"errors {problem['errors']}"


def credentials(server: Server) -> dict[str, str | None]:
    """What everybody in the table sends as `Authorization`."""
    key = Secrets.derived_from(SECRET.encode()).jwt
    of_the_organiser = PasswordFile(server.data_dir, USER).credentials
    token = server.token()
    head, claims, signature = token.split(".")
    others = Tokens(bytes(32), of_the_organiser, token_exp_s=60).issue()
    of_long_ago = Tokens(key, of_the_organiser, token_exp_s=60, clock=lambda: time.time() - 61).issue()
    of_a_guest = jwt.encode({**jwt.decode(token, options={"verify_signature": False}), "sub": "bob"}, key, "HS256")
    return {
        "nobody": None,
        "basic": basic(USER, PASSWORD),
        "BASIC": basic(USER, PASSWORD).replace("Basic", "BASIC"),
        "bearer": f"Bearer {token}",
        "bEARER": f"bEARER {token}",
        "wrong-password": basic(USER, "password"),
        "half-a-password": basic(USER, PASSWORD.partition(":")[0]),
        "wrong-user": basic("bob", PASSWORD),
        "no-colon": "Basic " + base64.b64encode(b"ada").decode(),
        "no-base64": "Basic ~~~~",
        "no-utf-8": "Basic " + base64.b64encode(b"ada:\xff").decode(),
        "no-scheme": token,
        "other-scheme": "Digest " + basic(USER, PASSWORD),
        "expired": f"Bearer {of_long_ago}",
        "tampered": f"Bearer {head}.{claims}.{signature[:-5]}{'A' if signature[-5] != 'A' else 'B'}{signature[-4:]}",
        "renamed": f"Bearer {of_a_guest}",
        "unsigned": f"Bearer {encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "stranger's": f"Bearer {others}",
        "no-token": "Bearer ada",
        "empty-token": "Bearer",
    }


def encoded(members: dict[str, str]) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("contract"), AUTH_SECRET=SECRET, TOKEN_EXP="15m") as server:
        yield server


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_contract_is_kept(server: Server, chapter: str) -> None:
    known, etag, ids, broken = credentials(server), "", [], []
    for request, expected in rows(CHAPTERS[chapter]):
        method, target, *body = request.rest.split(" ", 2)
        headers = {"Authorization": value} if (value := known[request.first]) else {}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers |= {name: in_full(value, etag) for name, value in request.headers}
        sent = {name: value for name, value in headers.items() if value}
        reply = server.ask(f"{method} {in_full(target, etag)}", in_full(body[0], etag).encode() if body else None, sent)
        if found := list(differences(reply, expected, etag)):
            broken.append(f"{request.first} {request.rest} = {'; '.join(found)}; not {expected.first} {expected.rest}")
        etag = reply.headers.get("ETag", etag)
        ids.append(reply.headers["X-Request-ID"])
    assert not broken, "\n".join(broken)
    assert len(ids) == len(set(ids)) > 1, "requests share an id"


def test_a_token_lasts_as_long_as_the_settings_say(server: Server) -> None:
    claims = jwt.decode(server.token(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert claims["sub"] == USER


SITES = [
    # Sec-Fetch-Site, Origin, and whether a change is carried out. `own` and `public` stand for the server's addresses.
    (None, None, True),
    ("same-origin", None, True),
    ("none", None, True),
    ("same-origin", "own", True),
    ("same-origin", "https://evil.example", True),  # what the browser says itself counts more
    ("same-site", None, False),
    ("cross-site", None, False),
    ("cross-site", "own", False),
    ("rubbish", "own", False),
    (None, "own", True),
    (None, "public", True),
    (None, "null", False),
    (None, "https://evil.example", False),
    (None, "http://127.0.0.1", False),
    (None, "http://127.0.0.1:1", False),
    (None, "http://[", False),
    (None, "rubbish", False),
]
CHANGES: dict[str, Body] = {
    "POST /book": {"eventId": "cross", "userId": "bob"},
    "POST /initialize": {"eventId": "cross", "tickets": 1},
    "POST /auth/token": None,
    "POST /ui/sign-in": b"user=ada&password=guess",
    "POST /ui/events/cross/orders": b"userId=bob",
    "POST /api/v1/events": {"id": "cross", "capacity": 1},
    "POST /api/v1/events/cross/orders": {"userId": "bob"},
    "PATCH /api/v1/events/cross": {"capacity": 2},
    "DELETE /api/v1/events/cross": None,
}


@pytest.fixture(scope="module")
def public_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that people reach by another name."""
    folder, port = tmp_path_factory.mktemp("public"), str(free_port())
    with Server(folder, PUBLIC_URL="https://tickets.example.org", PORT=port) as server:
        yield server


@pytest.mark.parametrize(("site", "origin", "is_carried_out"), SITES)
def test_no_other_sites_page_can_change_anything(
    public_server: Server, site: str | None, origin: str | None, is_carried_out: bool
) -> None:
    origins = {"own": public_server.url, "public": "https://tickets.example.org"}
    said = {"Sec-Fetch-Site": site, "Origin": origins.get(origin or "", origin)}
    headers = {name: value for name, value in said.items() if value is not None}
    for request, body in CHANGES.items():
        form = {"Content-Type": "application/x-www-form-urlencoded"} if isinstance(body, bytes) else {}
        reply = public_server.ask(request, body, {**headers, **form})
        assert (reply.status != 403) == is_carried_out, request
        assert is_carried_out or reply.code in {"cross_origin", None}
        assert list(differences_of_manners(reply)) == []
    assert public_server.ask("GET /status/cross", headers=headers).status == 404


async def guesses_at_once(port: int, sender: str, guesses: int) -> list[Reply]:
    connections = [await Connection.open(port, sender) for _ in range(guesses)]
    for number, connection in enumerate(connections):
        connection.send("POST /auth/token", headers={"Authorization": basic(USER, f"guess {number}")})
    replies = [await connection.reply() for connection in connections]
    await asyncio.gather(*(connection.close() for connection in connections))
    return replies


def test_whoever_guesses_has_to_wait_and_nobody_else(server: Server) -> None:
    replies = asyncio.run(guesses_at_once(server.port, "127.0.0.2", 20))
    expected = Line("429", "too_many_attempts", [("Retry-After", "[1-9]*"), ("Cache-Control", "no-store")])
    assert {reply.status for reply in replies} == {401, 429}
    for reply in replies:
        assert reply.status == 401 or list(differences(reply, expected, "")) == []
    assert [reply.status for reply in asyncio.run(guesses_at_once(server.port, "127.0.0.3", 1))] == [401]
    assert server.as_organiser("POST /auth/token").status == 200


async def bookings_at_once(port: int, guests: list[str]) -> list[Reply]:
    connections = await asyncio.gather(*(Connection.open(port) for _ in guests))
    for connection, guest in zip(connections, guests, strict=True):
        connection.send("POST /book", {"eventId": "gig", "userId": guest})
    replies = [await connection.reply() for connection in connections]
    await asyncio.gather(*(connection.close() for connection in connections))
    return replies


def test_where_too_many_wait_the_rest_is_told_to_come_back(tmp_path: Path) -> None:
    with Server(tmp_path, PENDING_MAX="1") as server:
        server.as_organiser("POST /initialize", {"eventId": "gig", "tickets": 5})
        turned_away: dict[str, Reply] = {}
        for number in range(50):  # a server could be quick enough for all of them, but not again and again
            guests = [f"guest-{number}-{other}" for other in range(100)]
            replies = asyncio.run(bookings_at_once(server.port, guests))
            turned_away = {guest: reply for guest, reply in zip(guests, replies, strict=True) if reply.status != 200}
            if turned_away:
                break
        assert turned_away
        expected = Line("503", "overloaded", [("Retry-After", "[1-9]*"), ("Cache-Control", "no-store")])
        for reply in turned_away.values():
            assert list(differences(reply, expected, "")) == []
        assert not turned_away.keys() & {guest for (guest,) in server.query("SELECT user_id FROM orders")}


BROKEN = """
from webapp.box_office import BoxOffice
from webapp.cli import main

async def counts(box_office, event_id):
    raise RuntimeError("what nobody must be told")

BoxOffice.counts = counts
main(["serve"])
"""


def mentioning(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: text in line.get("message", "")


def test_what_nobody_expected_is_told_by_a_request_id_alone(tmp_path: Path) -> None:
    with Server(tmp_path, program=("-c", BROKEN)) as server:
        for accept, content_type in [("*/*", "application/problem+json"), ("text/html", "text/html; charset=utf-8")]:
            reply = server.ask("GET /status/gig", headers={"Accept": accept})
            said = reply.body.decode() + str(reply.headers)
            assert (reply.status, reply.headers["Content-Type"]) == (500, content_type)
            assert reply.code in {"internal", None}
            assert list(differences_of_manners(reply)) == []
            assert reply.headers["X-Request-ID"] in reply.body.decode()
            assert not re.search("nobody must be told|RuntimeError|Traceback|counts", said)
            line = server.logged(mentioning(reply.headers["X-Request-ID"]))
            assert "RuntimeError: what nobody must be told" in line["traceback"]
        assert server.ask("GET /health").json == {"ok": True}


def test_without_authentication_everybody_is_the_organiser_of_what_is_soon_forgotten(tmp_path: Path) -> None:
    with Server(tmp_path, APP_ENV="test") as server:
        assert server.ask("POST /initialize", {"eventId": "gig", "tickets": 1}).json == {"eventId": "gig", "tickets": 1}
        assert server.ask("POST /book", {"eventId": "gig", "userId": "bob"}).json == {"assigned": True}
        assert server.ask("POST /cancel", {"eventId": "gig", "userId": "bob"}).json == {"reassignedTo": None}
        assert server.ask("POST /auth/token").json.keys() == {"token"}
        server.restart()
        assert server.ask("GET /status/gig").code == "event_not_found"
        assert not server.data_dir.exists()


@pytest.mark.parametrize("target", ["/static/vendor/manifest.json", "/static/app.css", "/ui/stream", "/ui/organise"])
def test_security_headers_are_on_files_streams_and_the_panel_too(server: Server, target: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    connection.request("GET", target)
    response = connection.getresponse()  # of a stream, only the head
    assert response.status in {200, 303}
    assert list(differences_of_manners(Reply(response.status, response.headers, b""))) == []
    connection.close()
