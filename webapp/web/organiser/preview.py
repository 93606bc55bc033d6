"""What another number of tickets, or other times, would lead to: found out by a rehearsal, which changes nothing."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from webapp.booking.answers import Promotion, Refusal, Revision
from webapp.booking.state import Event
from webapp.web.organiser import event_form
from webapp.web.organiser.event_form import Mistaken
from webapp.web.organiser.notices import isolated
from webapp.web.parts import box_office, enquiries
from webapp.web.rendering import counted

NAMES_MAX: Final = 20


class Preview(NamedTuple):
    """A sentence, the names that belong behind it, and how many more there are; whether it can be done at all."""

    said: str
    names: tuple[str, ...] = ()
    more: int = 0
    is_possible: bool = True


async def capacity_preview(event: Event, form: Mapping[str, str]) -> Preview:
    """What would follow if the event had as many tickets as was typed.

    Raises Refusal `event_not_found`, Unavailable.
    """
    try:
        tickets = event_form.tickets_typed(form)
    except Mistaken as mistaken:
        return Preview(mistaken.mistakes["tickets"], is_possible=False)
    try:
        revision = await box_office().revise(event.counts.event_id, tickets=tickets, is_rehearsal=True)
    except Refusal as refusal:
        return Preview(why_not(refusal), is_possible=False)
    return await _told(event, tickets, revision)


def why_not(refusal: Refusal) -> str:
    """Why there cannot be so many tickets, in a sentence. Raises the refusal where it says something else."""
    match refusal.code:
        case "capacity_below_booked":
            least = refusal.members["capacity_min"]
            return f"Lower than {least:,} is not possible: so many tickets are booked."
        case "too_many_promotions":
            most = refusal.members["capacity_max"]
            return f"More than {most:,} is not possible at once: too many would get a ticket. First try {most:,}."
    raise refusal


async def _told(event: Event, tickets: int, revision: Revision) -> Preview:
    before, after = event.counts, revision.counts
    if revision.promoted:
        people = "this person" if len(revision.promoted) == 1 else f"these {len(revision.promoted):,} people"
        names = await names_of(revision.promoted)
        return Preview(f"{tickets:,} gives {people} a ticket now:", names, len(revision.promoted) - len(names))
    if tickets == before.capacity:
        return Preview("That is how many there are now.")
    if after.waiting and after.available:
        waiting = counted(after.waiting, "person waits", "people wait")
        return Preview(f"{tickets:,} gives nobody a ticket: the event has begun, and {waiting} in vain.")
    if not after.available:
        return Preview(f"{tickets:,} is possible. All of them are booked then.")
    return Preview(f"{tickets:,} is possible. {after.available:,} of them are left then.")


async def names_of(promoted: Sequence[Promotion]) -> tuple[str, ...]:
    """What those are called who get a ticket: the first NAMES_MAX of them."""
    return tuple([await _name_of(promotion) for promotion in promoted[:NAMES_MAX]])


async def _name_of(promotion: Promotion) -> str:
    if promotion.named is None:
        return "somebody whose name was erased"
    try:
        return (await enquiries().order(promotion.order_id)).name or promotion.named
    except Refusal:
        return promotion.named


async def promoted_in_words(promoted: Sequence[Promotion]) -> str:
    """What a change has led to for those who waited; nothing where none of them got a ticket."""
    if not promoted:
        return ""
    if len(promoted) == 1:
        return f" {isolated((await names_of(promoted))[0])} got one from the waiting list."
    return f" {len(promoted):,} people got one from the waiting list."
