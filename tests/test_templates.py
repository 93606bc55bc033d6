"""Every template, walked tag by tag, for what the content security policy forbids and what would leave somebody out.

What Jinja fills in is no markup: an expression stands for one word, the same for the same expression, and of the arms
of an `if` only one is taken. A rule yields a sentence for each violation, and is run over the real templates and over
samples that break it, since a rule that finds nothing may be broken. What only shows once a page is filled in, the
tests in a browser look for.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[1] / "templates"
JINJA: Final = re.compile(r"{#.*?#}|{%-?\s*(\w+).*?%}|{{.*?}}", re.DOTALL)
UNSAFE: Final = re.compile(
    r"\|\s*safe\b|\bMarkup\b|\bautoescape\s+false\b|\b(?:js|javascript|vbscript):", re.IGNORECASE
)
FORBIDDEN_TAGS: Final = {"applet", "base", "embed", "frame", "frameset", "iframe", "math", "object", "style"}
FORBIDDEN_ATTRIBUTES: Final = {"background", "http-equiv", "hx-vars", "ping", "srcdoc", "style"}
LOADING: Final = {"action", "data", "formaction", "poster", "src", "srcset"}
"""Attributes that send a browser somewhere without being asked, or with what somebody has typed."""

ELSEWHERE: Final = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//|\s*data:", re.IGNORECASE)
UNNAMED_INPUTS: Final = {"hidden", "submit", "reset", "button", "image"}

Arms = tuple[tuple[int, int], ...]
"""In which arm of which `if` something stands, from the outside in, each counted from the start of the file."""


class Tag(NamedTuple):
    """A tag that opens: where, and with what."""

    line: int
    arms: Arms
    name: str
    attributes: dict[str, str]
    form: bool
    """Whether it stands inside a form."""

    label: bool
    """Whether it stands inside a label."""

    loop: bool
    """Whether it stands inside a `for`."""


class Template(HTMLParser):
    """The tags of a template, and what is said in its expressions."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self._open = {"form": 0, "label": 0}
        self._arms = list(_arms(text))
        self._starts = [start for start, _, _ in self._arms]
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.feed(JINJA.sub(_stand_in, text))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down a tag that opens."""
        line, column = self.getpos()
        _, arms, is_in_loop = self._arms[bisect_right(self._starts, self._lines[line - 1] + column) - 1]
        attributes = {name: value or "" for name, value in attrs}
        open_now = {name: count > 0 for name, count in self._open.items()}
        self.tags.append(Tag(line, arms, tag, attributes, loop=is_in_loop, **open_now))
        if tag in self._open:
            self._open[tag] += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down a tag that is closed at once, as in a drawing."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Leave a form or a label."""
        if tag in self._open:
            self._open[tag] = max(0, self._open[tag] - 1)


def _stand_in(match: re.Match[str]) -> str:
    """As many characters, line breaks in place: a word for an expression, blanks for everything else."""
    text = match[0]
    if not text.startswith("{{"):
        return re.sub(r"[^\n]", " ", text)
    word = "x" + hashlib.sha256(text.strip("{}- ").encode()).hexdigest()
    return re.sub(r"[^\n]", lambda sign: word[sign.start() % len(word)], text)


def _arms(text: str) -> Iterator[tuple[int, Arms, bool]]:
    """From which character on which arms of which `if` hold, and whether that is inside a `for`."""
    arms: Arms = ()
    opened: list[str] = []
    number = 0
    yield 0, arms, False
    for match in JINJA.finditer(text):
        word = match[1]
        if word in ("if", "for"):
            number += 1
            opened.append(word)
            arms = (*arms, (number, 0))
        elif word in ("elif", "else"):
            arms = (*arms[:-1], (arms[-1][0], arms[-1][1] + 1))
        elif word in ("endif", "endfor"):
            opened.pop()
            arms = arms[:-1]
        else:
            continue
        yield match.end(), arms, "for" in opened


def exclude(one: Arms, other: Arms) -> bool:
    """Whether two things are never on the same page, since they are in different arms of one `if`."""
    arm_of = dict(one)
    return any(arm_of.get(number, arm) != arm for number, arm in other)


def nothing_is_inline(text: str) -> Iterator[str]:
    """Nothing is inline, evaluated or unescaped."""
    yield from (f"contains {match[0]}" for match in UNSAFE.finditer(text))
    for line, _, tag, attributes, *_ in Template(text).tags:
        names = {name.removeprefix("data-") for name in attributes}
        if tag in FORBIDDEN_TAGS:
            yield f"line {line} has <{tag}>"
        if tag == "script" and "src" not in attributes:
            yield f"line {line} has an inline script"
        for name in sorted(names):
            if name in FORBIDDEN_ATTRIBUTES or name.startswith(("on", "hx-on")):
                yield f"line {line} has the attribute {name}"
        for name in attributes:
            if name.startswith("data-hx-"):
                yield f"line {line} has {name}, which is easily overlooked: write {name.removeprefix('data-')}"
        if "[" in attributes.get("hx-trigger", ""):
            yield f"line {line} has a trigger filter"
        if any(attributes.get(name, "").lstrip().startswith("js:") for name in ("hx-vals", "hx-headers", "hx-request")):
            yield f"line {line} evaluates what it sends"


def nothing_comes_from_elsewhere(text: str) -> Iterator[str]:
    """Nothing is loaded from elsewhere, and nothing is sent there."""
    for line, _, tag, attributes, *_ in Template(text).tags:
        for name, value in attributes.items():
            loads = name in LOADING or name.startswith("hx-") or (name.endswith("href") and tag != "a")
            if loads and ELSEWHERE.match(value):
                yield f"line {line} has {name} of another site"
        if tag == "a" and attributes.get("target") == "_blank" and "noopener" not in attributes.get("rel", "").split():
            yield f"line {line} opens a window that can steer this one: add rel=noopener"


def everything_can_be_sent(text: str) -> Iterator[str]:
    """A form says where it goes and how, and a button what it is for: both work without scripts."""
    is_part_of_form = not re.search(r"<form\b|{%-?\s*extends\b", text)  # it may be: a browser looks at that again
    for line, _, tag, attributes, is_in_form, *_ in Template(text).tags:
        if tag == "form":
            yield from (
                f"line {line}: a form without {name}" for name in ("action", "method") if name not in attributes
            )
            if attributes.get("method", "post").lower() not in ("get", "post"):
                yield f"line {line}: a form with a method that browsers do not know"
        if tag == "button" and not (is_in_form or is_part_of_form) and not {"type", "form"} & attributes.keys():
            yield f"line {line}: a button outside of any form, without a type"
        asks = [verb for verb in ("get", "post", "put", "patch", "delete") if f"hx-{verb}" in attributes]
        if asks and tag not in ("form", "a", "button", "input"):
            yield f"line {line}: hx-{asks[0]} on a <{tag}>, which does nothing without scripts"


def everything_has_a_name(text: str) -> Iterator[str]:
    """A field has a label, a picture a text, and no id is another's."""
    tags = Template(text).tags
    labelled = {tag.attributes.get("for") for tag in tags if tag.name == "label"}
    for tag in tags:
        attributes = tag.attributes
        is_field = tag.name in ("select", "textarea", "input") and attributes.get("type") not in UNNAMED_INPUTS
        named = (
            tag.label or {"aria-label", "aria-labelledby"} & attributes.keys() or attributes.get("id", 0) in labelled
        )
        if is_field and not named:
            yield f"line {tag.line}: a field without a label"
        if tag.name == "img" and "alt" not in attributes:
            yield f"line {tag.line}: a picture without a text in its place"
        if tag.name == "html" and not attributes.get("lang"):
            yield f"line {tag.line}: a page without a language"
        if tag.loop and re.fullmatch(r"[a-z-]+", attributes.get("id", "")):
            yield f"line {tag.line}: an id in a loop is the same each time"
    seen: dict[str, list[Tag]] = {}
    for tag in tags:
        if name := tag.attributes.get("id"):
            if not all(exclude(tag.arms, other.arms) for other in seen.get(name, [])):
                yield f"line {tag.line}: the id of another"
            seen.setdefault(name, []).append(tag)


RULES: Final = (nothing_is_inline, nothing_comes_from_elsewhere, everything_can_be_sent, everything_has_a_name)
FILES: Final = sorted(path for path in ROOT.rglob("*.*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_template_keeps_the_rules(path: Path) -> None:
    found = [complaint for rule in RULES for complaint in rule(path.read_text())]
    assert not found, "\n".join(found)


def test_all_templates_are_walked() -> None:
    assert {"event.html", "events.html", "order.html", "organise/_layout.html", "shared/_forms.html"} <= {
        path.relative_to(ROOT).as_posix() for path in FILES
    }


BROKEN: Final = {
    nothing_is_inline: [
        "<script>alert(1)</script>",
        "<script type=module>go()</script>",
        "<style>p { color: red }</style>",
        '<p {% if late %}style="color: red"{% endif %}>',
        '<svg><rect style="fill: red"/></svg>',
        "<p\n  ONCLICK=go()>",
        '<p onpointerdown="go()">',
        '<p hx-on::after-swap="go()">',
        '<p hx-on="click: go()">',
        '<p data-hx-on:click="go()">',
        '<p data-hx-get="/ui">',
        '<p hx-trigger="keyup[key==1]">',
        "<p hx-vars='now:go()'>",
        "<p hx-vals='js:{now: 1}'>",
        '<p hx-headers="js:{now: go()}">',
        '<a href="javascript:go()">',
        '<a href="JavaScript:go()">',
        '<base href="/ui">',
        '<iframe src="/ui"></iframe>',
        '<object data="/ui"></object>',
        '<embed src="/ui">',
        '<p srcdoc="<p>">',
        '<meta http-equiv="refresh" content="1">',
        "{{ title | safe }}",
        "{{ title|safe }}",
        "{{ Markup(title) }}",
        "{% autoescape false %}{% endautoescape %}",
    ],
    nothing_comes_from_elsewhere: [
        '<script src="https://example.org/a.js"></script>',
        '<script src="//example.org/a.js"></script>',
        '<link rel="stylesheet" href="http://example.org/a.css">',
        '<img alt="" src="HTTPS://example.org/a.png">',
        '<img alt="" src="data:image/png;base64,AAAA">',
        '<img alt="" srcset="//example.org/a.png 2x">',
        '<svg><use href="https://example.org/icons.svg#a"/></svg>',
        '<svg><use xlink:href="//example.org/icons.svg#a"/></svg>',
        '<form action="https://example.org" method="post"></form>',
        '<button formaction="//example.org">',
        '<p hx-get="//example.org">',
        '<a href="https://example.org" target="_blank">',
        '<a href="/ui" target="_blank" rel="nofollow">',
    ],
    everything_can_be_sent: [
        "<form></form>",
        '<form action="/ui"></form>',
        '<form method="post"></form>',
        '<form action="/ui" method="delete"></form>',
        "{% extends 'a.html' %}<button>Go</button>",
        '<form action="/ui" method="post"></form><button class="second">Go</button>',
        '<p hx-post="/ui">',
        '<div hx-get="{{ path }}">',
    ],
    everything_has_a_name: [
        "<input>",
        '<input name="email" placeholder="E-mail">',
        '<input type="checkbox" id="b"><label for="a">A</label>',
        '<label for="{{ a }}">A</label><input id="{{ b }}">',
        "<label>A</label><select></select>",
        "<textarea></textarea>",
        '<img src="/a.png">',
        "<html>",
        '<p id="a"></p><p id="a"></p>',
        '<p id="a">{% if b %}<p id="a">{% endif %}',
        '{% if b %}<p id="a">{% endif %}{% if c %}<p id="a">{% else %}{% endif %}',
        '<p id="{{ a }}"><p id="{{ a }}">',
        '{% for a in b %}<p id="a">{% endfor %}',
        '{% for a in b %}{% if c %}<p id="a">{% endif %}{% endfor %}',
    ],
}


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in BROKEN.items() for text in texts])
def test_a_violation_is_found(rule: object, text: str) -> None:
    assert callable(rule)
    assert list(rule(text))


@pytest.mark.parametrize(
    "text",
    [
        '{% set only = 1 %}<script src="/a.js" defer></script>{{ only }}',
        '<p hx-trigger="sse:counts" sse-swap="counts" class="{{ "late" }}">',
        '<form method="get" action="/ui" hx-get="/ui" hx-trigger="input delay:3s, submit"><button>Go</button></form>',
        '{% extends "a.html" %}<button type="button" hidden>Copy</button><button form="a">Go</button>',
        '<button>Book a ticket</button><p class="quiet">Part of a form</p>',
        '<label for="{{ a }}-b">A</label><input id="{{ a }}-b">',
        '<label>A <input type="checkbox" name="a"></label><input type="hidden" name="b">',
        '<input aria-label="A"><textarea aria-labelledby="a"></textarea><img src="/a.png" alt="">',
        '<a href="https://example.org">There</a><a href="/ui" target="_blank" rel="noopener">A window</a>',
        (
            '{% if a %}<p id="a">{% elif b %}<p id="a">'
            '{% else %}{% if c %}<p id="a">{% else %}<p id="a">{% endif %}{% endif %}'
        ),
        '{% for a in b %}<p id="{{ a }}"><p id="a-{{ a }}">{% else %}{% endfor %}',
        '{# <script> #}{{ "<style>" }}{% set a = "<iframe>" %}',
    ],
)
def test_what_keeps_the_rules_is_let_through(text: str) -> None:
    assert [complaint for rule in RULES for complaint in rule(text)] == []


def test_a_violation_is_told_with_its_line() -> None:
    assert list(nothing_is_inline("{% set a =\n 1 %}\n<p>{{ a\n }}</p><style>")) == ["line 4 has <style>"]
