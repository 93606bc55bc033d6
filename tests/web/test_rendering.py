"""Pages and blocks: escaped, complete, and in words that people use."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from tests.web.pages import text_of
from tests.web.unhurried import UNHURRIED
from webapp.booking.details import UNTOLD, Booking, Details
from webapp.booking.state import Counts
from webapp.paths import STATIC, TEMPLATES
from webapp.web import rendering
from webapp.web.assets import asset
from webapp.web.event_view import EventView
from webapp.web.standings import Standing

PAGES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))


def event(
    capacity: int = 80,
    booked: int = 68,
    waiting: int = 0,
    event_id: str = "gig",
    details: Details = UNTOLD,
    booking: Booking = "open",
    promotes: bool = True,
) -> EventView:
    counts = Counts(event_id, capacity, booked, waiting, booked + waiting + 1, bytes(32))
    return EventView(counts, details, booking, promotes, False, 2026)


def block(template: str, name: str, **values: object) -> str:
    return text_of(rendering.block(template, name, **values))


@pytest.mark.parametrize(
    ("position", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (22, "22nd"), (103, "103rd"), (111, "111th"), (1_012, "1,012th"), (1_001, "1,001st")],
)  # fmt: skip
def test_positions_are_said_as_people_say_them(position: int, said: str) -> None:
    assert rendering.ordinal(position) == said


def test_a_count_agrees_with_its_noun() -> None:
    assert [rendering.counted(count, "person", "people") for count in (0, 1, 2, 1_000)] == [
        "0 people",
        "1 person",
        "2 people",
        "1,000 people",
    ]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (event(80, 68), "12 of 80 left 68 tickets are booked. Tickets are available."),
        (event(80, 1), "79 of 80 left 1 ticket is booked. Tickets are available."),
        (event(1_000_000, 0), "1,000,000 of 1,000,000 left Nobody has booked yet. Tickets are available."),
        (
            event(80, 80),
            "Sold out All 80 tickets are taken. Nobody is waiting yet. Sold out. The waiting list is open.",
        ),
        (event(1, 1, 1), "Sold out The only ticket is taken. 1 person is waiting. Sold out. The waiting list is open."),
        (event(0, 0, 7), "No tickets yet 7 people are waiting. There are no tickets yet. The waiting list is open."),
    ],
)
def test_the_counts_of_an_event_are_told_in_words(shown: EventView, said: str) -> None:
    assert block("event.html", "counts", event=shown) == said


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (event(80, 68), "Book a ticket"),
        (event(80, 80), "Join the waiting list (you would be 1st)"),
        (event(80, 80, 7), "Join the waiting list (you would be 8th)"),
    ],
)
def test_the_button_says_what_will_happen(shown: EventView, said: str) -> None:
    assert block("event.html", "action", event=shown) == said


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (Standing("Cleo", "booked"), "You’re in"),
        (Standing("Cleo", "waiting", 1), "You are 1st on the waiting list The next ticket that comes free is yours"),
        (Standing("Cleo", "waiting", 2), "You are 2nd on the waiting list 1 person asked before you, and nobody can"),
        (Standing("Cleo", "waiting", 9), "You are 9th on the waiting list 8 people asked before you, and nobody can"),
        (Standing("Cleo"), "You have no place here any more"),
    ],
)
def test_a_guest_reads_where_he_stands(mine: Standing, said: str) -> None:
    assert said in block("event.html", "mine", event=event(), mine=mine, is_fresh=False)


@given(booked=st.integers(0, 1_000_000), free=st.integers(0, 1_000_000))
def test_the_meter_never_leaves_its_scale(booked: int, free: int) -> None:
    meter = rendering.block("events.html", "counts", event=event(booked + free, booked))
    width = re.search(r'<rect height="1" width="([0-9.]+)"', meter)
    assert width is not None
    assert 0 <= float(width[1]) <= 100


def test_what_people_type_is_never_markup() -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
    markup = rendering.block(
        "event.html",
        "mine",
        event=event(event_id=hostile),
        mine=Standing(hostile, "booked", name=hostile),
        is_fresh=True,
    )
    assert "<script" not in markup
    assert "<img" not in markup
    assert markup.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;") == 2, "the event and the guest"
    assert "{{ 7*7 }}" in markup


class Seen(HTMLParser):
    """The tags of some markup, with their attributes, and its words."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def described(text: str) -> str:
    """The markup of a description."""
    template = rendering._ENVIRONMENT.get_template("shared/_description.html")
    return template.render(event=event(details=Details(description=text)))


def test_a_description_has_paragraphs_lines_and_links() -> None:
    text = "Bring a pen.\nAnd ink.\n\n \nSee https://example.org/a?b=1&c=2, or ask ada@example.org."
    link = '<a href="https://example.org/a?b=1&amp;c=2" rel="nofollow noopener">https://example.org/a?b=1&amp;c=2</a>'
    mail = '<a href="mailto:ada@example.org">ada@example.org</a>'
    assert described(text).splitlines() == [
        '<p dir="auto">Bring a pen.<br>And ink.</p>',
        f'<p dir="auto">See {link}, or ask {mail}.</p>',
    ]
    assert described("") == described(" \n\n ") == ""


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<a href="https://example.org" onclick="alert(1)">',
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        'https://example.org/"onmouseover="alert(1)',
        "https://example.org/'><img src=x onerror=alert(1)>",
        "mailto:a@example.org?body=<script>",
        "www.example.org/<svg/onload=alert(1)>",
        "<https://example.org>",
        "{{ 7*7 }}{% raw %}",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ],
)
def test_a_hostile_description_is_only_text(text: str) -> None:
    assert_harmless(text)


@UNHURRIED
@given(
    st.lists(
        st.sampled_from(["https://", "http://", "www.", "mailto:", "javascript:", "data:", "a@b.org", "example.org",
                         "<", ">", '"', "'", "&", "&lt;", "(", ")", "/", "\n", "\n\n", " ", "onload=", "<a href="])
        | st.text(max_size=5)
    ).map("".join)
)  # fmt: skip
def test_no_description_becomes_markup_of_its_own(text: str) -> None:
    assert_harmless(text)


def assert_harmless(text: str) -> None:
    """A description shows its own words, and what is markup is paragraphs, line breaks and links alone."""
    seen = Seen(described(text))
    # The name of its scheme is left out of the words of a link to an e-mail address.
    assert "".join(seen.words.split()).replace("mailto:", "") == "".join(text.split()).replace("mailto:", "")
    for tag, attributes in seen.tags:
        assert tag in {"p", "br", "a"}
        if tag == "a":
            address = attributes["href"] or ""
            assert address.startswith(("https://", "http://", "mailto:"))
            assert attributes.keys() == ({"href"} if address.startswith("mailto:") else {"href", "rel"})


def test_who_waits_when_the_event_has_begun_is_promised_nothing() -> None:
    begun = event(80, 80, 9, booking="closed", promotes=False)
    said = block("event.html", "mine", event=begun, mine=Standing("Cleo", "waiting", 1), is_fresh=False)
    assert "You are 1st on the waiting list The event has begun, and no more tickets are given out." in said
    assert "next ticket" not in said
    assert "Your ticket will" not in said


OPENS = Details(opens_at=1_800_000_000_000_000)


@pytest.mark.parametrize(
    ("shown", "state", "counts", "action"),
    [
        (
            event(80, 0, details=OPENS, booking="not_open_yet"),
            "Opens Friday 15 January 2027, 08:00 (UTC)",
            "80 tickets Nobody has booked yet.",
            "Booking opens Friday 15 January 2027, 08:00 (UTC). The button will be back then.",
        ),
        (
            event(80, 80, 7, booking="closed"),
            "Booking has closed",
            "80 of 80 tickets booked 7 people are waiting. Booking has closed.",
            "Booking has closed. Nothing was booked with this form.",
        ),
    ],
)
def test_an_event_that_cannot_be_booked_says_so_wherever_it_is_shown(
    shown: EventView, state: str, counts: str, action: str
) -> None:
    assert block("events.html", "counts", event=shown) == state
    assert block("event.html", "counts", event=shown) == counts
    assert block("event.html", "action", event=shown) == action


def test_a_forgotten_value_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        rendering.block("event.html", "mine", event=event(), mine=Standing("Cleo", "booked"))


def test_an_asset_has_an_address_that_changes_with_its_content() -> None:
    assert re.fullmatch(r"/static/app\.css\?v=[0-9a-f]{10}", asset("app.css"))
    with pytest.raises(KeyError):
        asset("missing.css")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_assets_that_exist(page: str) -> None:
    for name in re.findall(r'asset\("([^"]+)"\)', (TEMPLATES / page).read_text()):
        assert (STATIC / name).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_every_form_works_without_a_script(page: str) -> None:
    for form in re.findall(r"<form\b[^>]*>", (TEMPLATES / page).read_text()):
        assert re.search('method="(get|post)"', form)
        assert 'action="/' in form or 'action="{{ ' in form


@pytest.mark.parametrize("page", PAGES)
def test_what_a_script_sends_is_what_the_form_would_send(page: str) -> None:
    for form in re.findall(r"<form\b[^>]*hx-(?:get|post)[^>]*>", (TEMPLATES / page).read_text()):
        addresses = re.findall(r'(?:action|hx-get|hx-post)="([^"]+)"', form)
        assert len(set(addresses)) == 1


@pytest.mark.parametrize(
    "page",
    [
        "event.html",
        "events.html",
        "error.html",
        "ledger.html",
        "order.html",
        "order_cancellation.html",
        *[p for p in PAGES if "shared/" in p],
    ],
)
def test_guests_are_not_talked_to_in_jargon(page: str) -> None:
    markup = re.sub(r"{([{%#]).*?[}%#]}", " ", (TEMPLATES / page).read_text(), flags=re.DOTALL)
    assert not re.search(r"\b(user|users|ID|ids|JSON)\b", text_of(markup))


def test_icons_are_where_the_pages_look_for_them() -> None:
    sprite = (STATIC / "icons.svg").read_text()
    used = {name for page in PAGES for name in re.findall(r'icons\.svg"\) }}#([a-z]+)', (TEMPLATES / page).read_text())}
    assert used == set(re.findall(r'<symbol id="([a-z]+)"', sprite))


def test_the_style_sheet_stays_one_that_a_person_can_read() -> None:
    assert (STATIC / "app.css").stat().st_size < 30_000
    assert Path(STATIC / "app.js").stat().st_size < 7_000


def colours(scheme: str) -> dict[str, str]:
    """The colours of the style sheet in a scheme; the dark one replaces what it names of the light one."""
    sheet = (STATIC / "app.css").read_text()
    light, dark = re.findall(r":root {(.*?)}", sheet, flags=re.DOTALL)[:2]
    named = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", light if scheme == "light" else light + dark))
    return {
        name: text if len(text) == 7 else "#" + "".join(2 * digit for digit in text[1:]) for name, text in named.items()
    }


def luminance(colour: str) -> float:
    """Relative luminance, as https://www.w3.org/TR/WCAG22/#dfn-relative-luminance defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "ratio"),
    [
        *[(ink, ground, 4.5) for ink in ("ink", "quiet", "accent") for ground in ("paper", "surface", "wash")],
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-strong", 4.5),
        ("ink", "wrong-wash", 4.5),
        ("wrong", "surface", 4.5),
        ("surface", "wrong", 4.5),
        ("paper", "ink", 4.5),
        ("edge", "paper", 3),
        ("edge", "surface", 3),
        ("accent", "line", 3),
    ],
)
def test_colours_can_be_told_apart(scheme: str, ink: str, ground: str, ratio: float) -> None:
    palette = colours(scheme)
    lighter, darker = sorted((luminance(palette[ink]), luminance(palette[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= ratio
