"""What is done with orders: placing, seeing and ending them, and letting their guests in."""

from dataclasses import replace
from typing import Final

from webapp.web.description import examples
from webapp.web.description.operations import ORDER_ID, SLUG, Answer, Body, Group, Operation
from webapp.web.fields import CURSOR, EMAIL, GATE, IDEMPOTENCY_KEY, LIMIT, NAME, REASON, STATUS, Q
from webapp.web.parsing import USER_ID

_ORDERS: Final = (
    Operation(
        method="POST",
        path="/api/v1/events/{slug}/orders",
        id="placeOrder",
        summary="Book a ticket, or join the waiting list",
        description="Which of the two is told by `status`. Who has an order there keeps it, and nothing changes; "
        "then the answer holds nothing that a stranger must not know. The organiser may send credentials, and the "
        "ledger then names the organiser as the one who acted.",
        who="anyone_or_organiser",
        path_parts=(SLUG,),
        headers=(IDEMPOTENCY_KEY,),
        body=Body((USER_ID,), (NAME, EMAIL)),
        answers=(
            Answer(
                201,
                "A new order. Its key and link are told to nobody else, so keep them.",
                "NewOrder",
                examples.NEW_ORDER,
                ("Location", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
            ),
            Answer(
                200,
                "The order that this guest has already.",
                "KnownOrder",
                examples.KNOWN_ORDER,
                ("Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
            ),
        ),
        touches="ledger",
        errors=("event_not_found", "not_open_yet", "booking_closed"),
    ),
    Operation(
        method="GET",
        path="/api/v1/events/{slug}/orders",
        id="listOrders",
        summary="List an event’s orders",
        description="In the order of their placing. With `Accept: text/csv`, all that match at once, as a file for a "
        "spreadsheet; a cell that it could take for a formula has an apostrophe in front.",
        who="organiser",
        path_parts=(SLUG,),
        query=(STATUS, Q, LIMIT, replace(CURSOR, example="OTE")),
        answers=(
            Answer(
                200,
                "A page of the list, or the file.",
                "OrderList",
                {"items": [examples.ORDER, examples.WAITING_ORDER], "next": None},
                ("Link",),
            ),
            Answer(200, "All that match.", None, examples.ROSTER, ("Content-Disposition",), "text/csv"),
        ),
        touches="store",
        errors=("event_not_found",),
    ),
    Operation(
        method="GET",
        path="/api/v1/orders/{id}",
        id="getOrder",
        summary="Look at an order",
        description="How it stands, and why: what has happened to it, and in front of it on the waiting list.",
        who="guest",
        path_parts=(ORDER_ID,),
        answers=(Answer(200, "The order.", "OrderWithHistory", examples.ORDER_WITH_HISTORY),),
        touches="store",
        errors=("order_not_found",),
    ),
    Operation(
        method="POST",
        path="/api/v1/orders/{id}/cancellation",
        id="cancelOrder",
        summary="Cancel an order",
        description="Whether it holds a ticket or waits. A ticket that comes free goes to whoever has waited longest, "
        "in the same step.",
        who="guest",
        path_parts=(ORDER_ID,),
        headers=(IDEMPOTENCY_KEY,),
        body=Body((), (REASON,), may_be_missing=True),
        answers=(
            Answer(
                200,
                "It has ended; who got the ticket is told to the organiser alone.",
                "Cancellation",
                examples.CANCELLATION,
                ("Idempotent-Replayed",),
            ),
        ),
        touches="ledger",
        errors=("order_not_found", "order_cancelled", "already_checked_in"),
    ),
    Operation(
        method="POST",
        path="/api/v1/orders/{id}/manage-link",
        id="makeManageLink",
        summary="Get an order’s link once more",
        description="For a guest who has lost it. It is the same one as before, with or without an `Idempotency-Key`.",
        who="organiser",
        path_parts=(ORDER_ID,),
        headers=(IDEMPOTENCY_KEY,),
        answers=(Answer(201, "The key and the link.", "ManageLink", examples.MANAGE_LINK),),
        touches="store",
        errors=("order_not_found",),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/orders/{id}/person",
        id="erasePerson",
        summary="Erase a guest’s personal data",
        description="`userId`, name, e-mail address and reason go, of this order and of all others of this guest at "
        "the event. The orders stand, and the ledger still adds up: cancel an order first if its place should go to "
        "somebody else. A guest who was erased is a stranger, who can book again. Doing it again does no harm.",
        who="organiser",
        path_parts=(ORDER_ID,),
        answers=(Answer(204, "Nothing of it is left."),),
        touches="ledger",
        errors=("order_not_found",),
    ),
)

_DOOR: Final = (
    Operation(
        method="POST",
        path="/api/v1/orders/{id}/check-in",
        id="checkIn",
        summary="Let a guest in",
        description="Once. Whoever comes with the same ticket again is told when and where it was used.",
        who="organiser",
        path_parts=(ORDER_ID,),
        headers=(IDEMPOTENCY_KEY,),
        body=Body((), (GATE,), may_be_missing=True),
        answers=(Answer(201, "The guest is in.", "CheckIn", examples.CHECK_IN, ("Idempotent-Replayed",)),),
        touches="ledger",
        errors=("order_not_found", "order_cancelled", "not_booked", "already_checked_in"),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/orders/{id}/check-in",
        id="undoCheckIn",
        summary="Take a check-in back",
        description="The ledger keeps both.",
        who="organiser",
        path_parts=(ORDER_ID,),
        answers=(Answer(204, "The guest has not arrived."),),
        touches="ledger",
        errors=("order_not_found", "order_cancelled", "not_checked_in"),
    ),
)

ORDERS: Final = Group("orders", "Orders", "Guests' tickets, and their places on waiting lists.", _ORDERS)
DOOR: Final = Group("door", "At the door", "Who has arrived.", _DOOR)
