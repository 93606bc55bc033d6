"""Who books, as a form asks for it: a name, and the e-mail address by which one guest is told from another."""

from collections.abc import Mapping
from typing import NamedTuple

from webapp.booking.ledger import Contact
from webapp.web import parsing
from webapp.web.fields import EMAIL, NAME
from webapp.web.parsing import USER_ID, Fault, InvalidInput, Problem


class GuestTyped(NamedTuple):
    """A guest by the id that the rules know him by, and what he tells of himself."""

    guest: str
    contact: Contact


def guest_typed(form: Mapping[str, str], *, needs_email: bool) -> GuestTyped:
    """The guest that a form with `name` and `email` names.

    His id is the address in small letters, so that two of one name can book, and one cannot book twice by capitals;
    without an address it is the name.

    Raises InvalidInput, whose problems point at `/name` and `/email`.
    """
    typed: dict[str, str | None] = {}
    problems: list[Problem] = []
    for field, is_needed in ((NAME, True), (EMAIL, needs_email)):
        try:
            (typed[field.name],) = parsing.parse_form((field,), {field.name: "", **form})
        except InvalidInput as invalid:
            problems += invalid.problems
        else:
            if is_needed and not typed[field.name]:
                problems.append(field.problem(Fault("is blank")))
    if problems:
        raise parsing.invalid_input(problems)
    name, email = typed["name"], typed["email"]
    assert name, "a name is needed"
    return GuestTyped(email.lower() if email else _id_of(name), Contact(name, email))


def guest_looked_for(text: str) -> str:
    """The id of the guest that somebody names to find his order: an address, or a name or id as it was booked.

    Raises InvalidInput, whose problem points at `/userId`.
    """
    (guest,) = parsing.parse_form((USER_ID,), {"userId": text})
    return guest.lower() if "@" in guest else guest


def _id_of(name: str) -> str:
    try:
        return USER_ID.parse(name)
    except Fault as fault:
        raise InvalidInput("invalid_input", str(fault), problems=(NAME.problem(fault),)) from None
