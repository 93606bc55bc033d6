"""What a route is described by: who may ask, what goes in, what comes out, and what can go wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from webapp.web.fields import IDEMPOTENCY_KEY, IF_MATCH
from webapp.web.parsing import Field

Who = Literal["anyone", "organiser", "password", "guest", "anyone_or_organiser"]
"""`guest` stands for the organiser, or whoever has the order's key; the last one for anyone, though the organiser is
told or may do more."""

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class PathPart:
    """A part of a path that varies. In lines of a shell, `variable` stands for it; without one, the example does."""

    name: str
    description: str
    example: str
    schema: Mapping[str, Any]
    variable: str = ""


SLUG: Final = PathPart(
    "slug",
    "The event's `slug`, which every answer about it tells.",
    "summer-night",
    {"type": "string", "minLength": 1},
    "EVENT",
)
ORDER_ID: Final = PathPart(
    "id",
    "The order's id.",
    "a1b2c3d4e5f60718293a",
    {"type": "string", "minLength": 1},
    "ORDER",
)
EVENT_ID_IN_PATH: Final = PathPart(
    "eventId",
    "The event's id, its slashes as they are or as `%2F`.",
    "gig",
    {"type": "string", "minLength": 1},
)


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON object that a request carries; with `may_be_missing`, none at all is as good as an empty one.

    `instead` is an optional field that must be given, and be no blank, where the other one of the pair is missing.
    """

    required: tuple[Field[Any], ...]
    optional: tuple[Field[Any], ...] = ()
    may_be_missing: bool = False
    instead: tuple[Field[Any], Field[Any]] | None = None
    example: Mapping[str, object] | None = None

    @property
    def shown(self) -> Mapping[str, object]:
        """What a request may hold, for an example."""
        return self.example or {field.name: field.example for field in (*self.required, *self.optional)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One outcome that is no error. `schema` names a document, for JSON; `example` is the whole body.

    For another media type, `schema` names what a line of its data holds, if that is JSON.
    """

    status: int
    description: str
    schema: str | None = None
    example: object = None
    headers: tuple[str, ...] = ()
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `touches` says how far a request gets at most: to nothing that is stored, to what can be read, or to a change.
    `errors` are the codes of its own, besides those that follow from all the rest.
    """

    method: Method
    path: str
    id: str
    summary: str
    description: str = ""
    who: Who = "anyone"
    path_parts: tuple[PathPart, ...] = ()
    query: tuple[Field[Any], ...] = ()
    headers: tuple[Field[Any], ...] = ()
    body: Body | None = None
    answers: tuple[Answer, ...]
    touches: Literal["nothing", "store", "ledger"]
    errors: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of every error that may come of it, but for those that may come of any request at all."""
        return tuple(dict.fromkeys((*self._before(), *self.errors, *self._behind())))

    def _before(self) -> list[str]:
        """What goes wrong before anything is looked up."""
        codes = []
        if self.who != "anyone":
            codes += ["not_authenticated", "too_many_attempts"]
        if self.body:
            codes += ["invalid_json", "invalid_input", "request_timeout", "too_large", "unsupported_media_type"]
        elif self.query or self.headers:
            codes += ["invalid_input"]
        if IF_MATCH in self.headers:
            codes += ["precondition_required", "event_changed"]
        if IDEMPOTENCY_KEY in self.headers and self.touches == "ledger":
            codes.append("idempotency_key_reused")
        if self.method != "GET":
            codes += ["cross_origin"]
        return codes

    def _behind(self) -> list[str]:
        """What goes wrong in the box office."""
        if self.touches == "nothing":
            return []
        codes = ["overloaded", "storage_unavailable", "shutting_down", "ledger_damaged"]
        return codes if self.touches == "store" else [*codes, "outcome_unknown"]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations that belong together; `id` is fit for an address."""

    id: str
    title: str
    description: str
    operations: tuple[Operation, ...]
