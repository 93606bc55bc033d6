"""One story for all examples: Ada's summer night, for which Cleo gets a ticket and Bob waits."""

import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from webapp.booking.ledger import GENESIS, canonical_bytes
from webapp.web import fields
from webapp.web.fields import EDITABLE

EVENT_ID: Final = "summer-night"
CLEOS: Final = "a1b2c3d4e5f60718293a"
BOBS: Final = "a1b2c3d9f00718293a4b"
KEY: Final = "n3J0c2VjcmV0LWtleS1vZg"
ORIGIN: Final = "https://tickets.example.org"

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


_TIMES: Final = {
    str(field.name): str(field.example)
    for field in (fields.STARTS_AT, fields.ENDS_AT, fields.OPENS_AT, fields.CLOSES_AT)
}


def microseconds(at: str) -> int:
    """A time of an example in microseconds since 1970, UTC."""
    return (datetime.fromisoformat(at) - _EPOCH) // timedelta(microseconds=1)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _entry(before: dict[str, Any] | None, kind: str, at: str, actor: str, **more: str) -> dict[str, Any]:
    """An entry that follows another one, sealed as real ones are."""
    seq = before["seq"] + 1 if before else 1
    order_id, detail = more.get("order_id"), more.get("detail")
    canonical = canonical_bytes(EVENT_ID, seq, kind, microseconds(at), actor, order_id, None, detail)
    sealed = sha256((bytes.fromhex(before["hash"]) if before else GENESIS) + canonical).hexdigest()
    return {
        "seq": seq,
        "kind": kind,
        "at": at,
        "actor": actor,
        "order_id": order_id,
        "reason": None,
        "detail": detail,
        "hash": sealed,
    }


_OPENED: Final = _entry(None, "opened", "2030-04-20T09:12:30.118204Z", "organiser", detail="80")
_REVISED: Final = _entry(
    _OPENED,
    "revised",
    "2030-04-20T09:12:30.118204Z",
    "organiser",
    detail=_compact(
        {
            **{name: microseconds(moment) for name, moment in _TIMES.items()},
            "hidden": False,
            "words": sha256(b"the words of an example").hexdigest(),
        }
    ),
)
_BOOKED: Final = _entry(
    _REVISED,
    "booked",
    "2030-05-01T08:00:03.551017Z",
    "guest",
    order_id=CLEOS,
    detail=sha256(b"the salt of an example, and cleo").hexdigest(),
)
_JOINED: Final = _entry(
    {"seq": 88, "hash": sha256(b"what happened in between").hexdigest()},
    "joined",
    "2030-05-02T17:40:09.000512Z",
    "guest",
    order_id=BOBS,
    detail=sha256(b"the salt of an example, and bob").hexdigest(),
)

LEDGER: Final = {"eventId": EVENT_ID, "items": [_OPENED, _REVISED, _BOOKED], "next": 3}


def _receipt(entry: dict[str, Any]) -> dict[str, Any]:
    return {"entry": entry["seq"], "at": entry["at"], "hash": entry["hash"]}


COUNTS: Final = {
    "eventId": EVENT_ID,
    "capacity": 80,
    "booked": 80,
    "available": 0,
    "waiting": 3,
    "checked_in": 0,
    "entry": 91,
}
EVENT: Final = {
    "eventId": EVENT_ID,
    "slug": EVENT_ID,
    **{field.name: field.example for field in EDITABLE},
    **{name: count for name, count in COUNTS.items() if name not in {"eventId", "entry"}},
    "policy": {"booking": "open", "promotes_until": "2030-06-18T19:30:00Z", "order": "first_come_first_served"},
    "revision": 2,
    "entry": 91,
    "page": f"{ORIGIN}/ui/events/{EVENT_ID}",
}
NEW_EVENT: Final = {
    **EVENT,
    "description": "",
    "opens_at": None,
    "closes_at": None,
    "booked": 0,
    "available": 80,
    "waiting": 0,
    "entry": 2,
}
PROMOTION: Final = {"id": BOBS, "userId": "bob"}
CHANGE: Final = {
    "event": {**EVENT, "capacity": 82, "booked": 82, "waiting": 1, "revision": 92, "entry": 94},
    "promoted": 2,
    "promotions": [{"id": "a1b2c3d5800718293a4c", "userId": "dan"}, PROMOTION],
    "dry_run": False,
}

ORDER: Final = {
    "id": CLEOS,
    "eventId": EVENT_ID,
    "event_slug": EVENT_ID,
    "userId": "cleo",
    "name": fields.NAME.example,
    "email": fields.EMAIL.example,
    "status": "booked",
    "position": None,
    "ahead": None,
    "placed_at": _BOOKED["at"],
    "checked_in": None,
    "cancel_reason": None,
}
NEW_ORDER: Final = {
    **ORDER,
    "receipt": _receipt(_BOOKED),
    "key": KEY,
    "manage_link": f"{ORIGIN}/ui/orders/{CLEOS}/{KEY}",
}
KNOWN_ORDER: Final = {
    "id": CLEOS,
    "eventId": EVENT_ID,
    "userId": "cleo",
    "status": "booked",
    "position": None,
    "ahead": None,
    "receipt": _receipt(_BOOKED),
}
WAITING_ORDER: Final = {
    **ORDER,
    "id": BOBS,
    "userId": "bob",
    "name": "Bob Okafor",
    "email": None,
    "status": "waiting",
    "position": 2,
    "ahead": 1,
    "placed_at": _JOINED["at"],
}
ORDER_WITH_HISTORY: Final = {
    **WAITING_ORDER,
    "receipt": _receipt(_JOINED),
    "why": {
        "asked_before": 2,
        "complete": True,
        "steps": [
            {"entry": 89, "at": _JOINED["at"], "kind": "joined", "moved": 0, "position": None},
            {"entry": 90, "at": "2030-05-03T06:15:44.720331Z", "kind": "cancelled", "moved": 1, "position": 2},
        ],
    },
}
CANCELLATION: Final = {
    "id": CLEOS,
    "status": "cancelled",
    "promoted": 1,
    "promotions": [PROMOTION],
    "receipt": {
        "entry": 92,
        "at": "2030-05-04T11:20:00.250114Z",
        "hash": sha256(b"the cancellation of an example").hexdigest(),
    },
}
CHECK_IN: Final = {
    "id": CLEOS,
    "userId": "cleo",
    "name": "Cleo Lindqvist",
    "checked_in": {"at": "2030-06-18T19:02:11.402113Z", "gate": fields.GATE.example, "by": "organiser"},
    "receipt": {
        "entry": 95,
        "at": "2030-06-18T19:02:11.402113Z",
        "hash": sha256(b"the arrival of an example").hexdigest(),
    },
}
MANAGE_LINK: Final = {name: NEW_ORDER[name] for name in ("id", "key", "manage_link")}

STREAM: Final = (
    "retry: 2000\n\n"
    "event: counts\n"
    "id: 91\n"
    'data: {"eventId": "summer-night", "capacity": 80, "booked": 80, "available": 0, "waiting": 3, "checked_in": 0, '
    '"entry": 91}\n\n'
    ": still here\n\n"
)
ROSTER: Final = (
    "\ufeffid,userId,name,email,status,position,placed_at,checked_in_at,gate,cancel_reason\r\n"
    f"{CLEOS},cleo,Cleo Lindqvist,cleo@example.org,booked,,{_BOOKED['at']},,,\r\n"
    f"{BOBS},bob,Bob Okafor,,waiting,2,{_JOINED['at']},,,\r\n"
)
METRICS: Final = (
    "# HELP fairlist_http_requests_total Requests that were answered; status 0 where the client left before.\n"
    "# TYPE fairlist_http_requests_total counter\n"
    'fairlist_http_requests_total{method="POST",route="/book",status="200"} 42.0\n'
)
DESCRIPTION: Final = {
    "openapi": "3.1.0",
    "info": {"title": "Fairlist"},
    "servers": [{"url": ORIGIN}],
    "tags": [],
    "paths": {},
    "components": {},
}
