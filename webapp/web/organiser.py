"""The pages for organisers: signing in, the events, and for one event its state, booking for others and cancelling."""

import base64
import re
from typing import Final

from quart import Blueprint, Response, g, request

from webapp.booking.answers import Cancellation, Placement, Refusal
from webapp.web import parsing, rendering
from webapp.web.asking import address, is_secure
from webapp.web.cookies import SESSION_COOKIE, Cookie, Session
from webapp.web.event_view import EventView, view
from webapp.web.forms import EMPTY, Form, mistaken
from webapp.web.guest import NOT_NOW, event_named, listing, standing
from webapp.web.limiter import TooManyAttempts
from webapp.web.live import streamed_list
from webapp.web.parsing import EVENT_ID, TICKETS, USER_ID, InvalidInput
from webapp.web.parts import box_office, parts
from webapp.web.rendering import counted, ordinal, organise_path, see_other

organiser = Blueprint("organiser", __name__)

PANEL: Final = "/ui/organise"
SIGN_IN: Final = "/ui/sign-in"
LOCAL_PAGE: Final = re.compile(r"/ui(/(?!\.)[A-Za-z0-9_.~-]+)*")
NOTICE_COOKIE: Final = Cookie("fairlist-notice", 60)
WRONG_PASSWORD: Final = "The user name or the password is wrong."  # noqa: S105 - a sentence
"""What a sign-in is refused with; which of the two is wrong stays unsaid."""


# Coming and going


@organiser.before_request
async def require_session() -> Response | None:
    """Send whoever is not the organiser to the sign-in, and from there to the page that was asked for."""
    if parts().gatekeeper.open_to_all or request.path == SIGN_IN:
        return None
    g.session = parts().gatekeeper.sessions.find(SESSION_COOKIE.found_in(request.cookies, secure=is_secure()))
    if g.session is not None:
        return None
    wanted = _local(request.path) if request.method == "GET" else PANEL
    return see_other(f"{SIGN_IN}?next={wanted}")


@organiser.after_request
async def keep_private(answer: Response) -> Response:
    """Keep a session that is in use from ending, and these pages out of every cache."""
    answer.headers["Cache-Control"] = "no-store"
    session: Session | None = g.get("session")
    if session is not None:
        _set_session(answer, parts().gatekeeper.sessions.prolonged(session))
    return answer


@organiser.get(SIGN_IN)
async def sign_in_page() -> Response:
    """Asks for user name and password."""
    return _sign_in(EMPTY)


@organiser.post(SIGN_IN)
async def sign_in() -> Response:
    """Begin a session, and go on to where the organiser wanted to."""
    form = await request.form
    user, password = form.get("user", ""), form.get("password", "")
    try:
        verified = await parts().gatekeeper.verify_password(user, password, address())
    except TooManyAttempts as attempts:
        wait = counted(attempts.retry_after_s, "second", "seconds")
        answer = _sign_in(Form({"user": user}, problem=f"Too many attempts. Please try again in {wait}."), 429)
        answer.headers["Retry-After"] = str(attempts.retry_after_s)
        return answer
    if not verified:
        return _sign_in(Form({"user": user}, problem=WRONG_PASSWORD), 422)
    answer = see_other(_local(form.get("next", "")))
    _set_session(answer, parts().gatekeeper.sessions.begun())
    return answer


@organiser.post("/ui/sign-out")
async def sign_out() -> Response:
    """End the session."""
    answer = see_other("/ui")
    session: Session | None = g.pop("session", None)
    if session is not None:
        parts().gatekeeper.sessions.end(session)
        answer.set_cookie(**SESSION_COOKIE.removal(secure=is_secure()))
    return answer


def _sign_in(form: Form, status: int = 200) -> Response:
    wanted = _local(request.args.get("next", ""))
    return rendering.page("organise/sign_in.html", status=status, form=form, next=wanted)


def _local(wanted: str) -> str:
    """The path of a page to go on to; the panel's where what a request says could lead anywhere else."""
    return wanted if LOCAL_PAGE.fullmatch(wanted) else PANEL


def _set_session(answer: Response, value: str) -> None:
    answer.set_cookie(**SESSION_COOKIE.setting(value, secure=is_secure()))


# The events


@organiser.get(PANEL, strict_slashes=False)
async def panel() -> Response:
    """The events, and a form that opens another."""
    return await _panel(EMPTY)


@organiser.get(f"{PANEL}/stream")
async def list_stream() -> Response:
    """What changes at the events on a page of the organiser's list, hidden ones included."""
    return await streamed_list("organiser")


@organiser.post(f"{PANEL}/events")
async def open_event() -> Response:
    """Open an event. Opening one again with the same tickets leads to it, and changes nothing."""
    form = (await request.form).to_dict()
    try:
        event_id, tickets = parsing.parse_form((EVENT_ID, TICKETS), form)
        opening = await box_office().open_event(event_id, tickets)
    except InvalidInput as invalid:
        return await _panel(mistaken(form, invalid), 422)
    except Refusal as refusal:
        return await _panel(Form(form, {"eventId": f"{refusal.sentence}. Choose another name."}), 422)
    return _done(event_id, "The event is open." if opening.is_new else "The event was open already; nothing changed.")


async def _panel(form: Form, status: int = 200) -> Response:
    return rendering.page("organise/events.html", status=status, form=form, **await listing("organiser"))


# One event


@organiser.get(f"{PANEL}/events/<event_slug>")
async def event_page(event_slug: str) -> Response:
    """An event's state, and what can be done about it."""
    return await _event(event_named(event_slug))


@organiser.post(f"{PANEL}/events/<event_slug>/orders")
async def place_order(event_slug: str) -> Response:
    """Book for somebody."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        (guest,) = parsing.parse_form((USER_ID,), form)
        placement = await box_office().book(event_id, guest, "organiser")
    except InvalidInput as invalid:
        return await _event(event_id, booking=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code not in NOT_NOW:
            raise
        return await _event(event_id, booking=Form(form, problem=f"{refusal.sentence}; nobody can be booked now."))
    return _done(event_id, placed(guest, placement))


@organiser.get(f"{PANEL}/events/<event_slug>/cancellation")
async def cancellation_page(event_slug: str) -> Response:
    """To where the organiser says whose order to cancel."""
    return see_other(f"{organise_path(event_named(event_slug))}#cancel")


@organiser.post(f"{PANEL}/events/<event_slug>/cancellation")
async def cancel(event_slug: str) -> Response:
    """Ask, and tell what will follow; once that is confirmed, cancel."""
    event_id = event_named(event_slug)
    form = (await request.form).to_dict()
    try:
        (guest,) = parsing.parse_form((USER_ID,), form)
        if form.get("confirmed"):
            return _done(event_id, cancelled(guest, await box_office().cancel(event_id, guest, "organiser")))
        found = await standing(box_office(), event_id, guest)
    except InvalidInput as invalid:
        return await _event(event_id, cancelling=mistaken(form, invalid))
    except Refusal as refusal:
        if refusal.code == "already_checked_in":
            return await _event(event_id, cancelling=Form(form, {"userId": f"{refusal.sentence}."}))
        if refusal.code != "order_not_found":
            raise
        return await _event(event_id, cancelling=_unknown(form, guest))
    if found.status is None:
        return await _event(event_id, cancelling=_unknown(form, guest))
    return rendering.page("organise/cancellation.html", event=await _view(event_id), found=found)


async def _event(event_id: str, *, booking: Form = EMPTY, cancelling: Form = EMPTY) -> Response:
    answer = rendering.page(
        "organise/event.html",
        status=422 if booking.is_mistaken or cancelling.is_mistaken else 200,
        event=await _view(event_id),
        booking=booking,
        cancelling=cancelling,
        notice=_notice(),
    )
    if _notice():
        answer.set_cookie(**NOTICE_COOKIE.removal(secure=is_secure()))
    return answer


async def _view(event_id: str) -> EventView:
    return view(await box_office().event(event_id), box_office().now())


def _unknown(form: dict[str, str], guest: str) -> Form:
    return Form(form, {"userId": f"Nobody called “{guest}” has a ticket or waits here. Is it spelt as it was booked?"})


def placed(guest: str, placement: Placement) -> str:
    """What booking for a guest has led to, in a sentence."""
    already = "" if placement.is_new else " already; nothing changed"
    if placement.position is None:
        return f"{isolated(guest)} has a ticket{already}."
    return f"{isolated(guest)} is {ordinal(placement.position)} on the waiting list{already}."


def cancelled(guest: str, cancellation: Cancellation) -> str:
    """What cancelling a guest's order has led to, in a sentence or two."""
    follows = ""
    if cancellation.promoted:
        taker = cancellation.promoted[0].named
        follows = f" The ticket went to {isolated(taker) if taker else 'somebody whose name was erased'}."
    return f"{isolated(guest)} is cancelled.{follows}"


def isolated(name: str) -> str:
    """A name that cannot turn the direction of the sentence around it (Unicode's FSI and PDI)."""
    return f"\u2068{name}\u2069"


# What has just been done is told on the next page. It travels in a cookie, since a name must not stand in an address;
# not signed, because it is only shown, as text, to whoever's browser kept it.


def _done(event_id: str, notice: str) -> Response:
    answer = see_other(organise_path(event_id))
    value = base64.urlsafe_b64encode(notice.encode()).decode()
    answer.set_cookie(**NOTICE_COOKIE.setting(value, secure=is_secure()))
    return answer


def _notice() -> str:
    value = NOTICE_COOKIE.found_in(request.cookies, secure=is_secure())
    try:
        return base64.urlsafe_b64decode(value).decode()
    except ValueError:
        return ""
