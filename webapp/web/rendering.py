"""Pages, and single blocks of pages, rendered from `templates/`. Knows no rule, and reads nothing but the templates.

What is the same for everybody is kept, also compressed. What is personal is neither: see `compression`.

The environment is Jinja's synchronous one: a page of fifty rows takes two thirds of the time that Quart's own takes.
"""

import hashlib
import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Response, request

from webapp.paths import TEMPLATES
from webapp.web.assets import asset
from webapp.web.compression import Content, answered
from webapp.web.parsing import slug
from webapp.web.parts import parts
from webapp.web.times import rfc3339

HTML: Final = "text/html; charset=utf-8"
SHARED_PAGES_KEPT: Final = 256


def page(template: str, *, status: int = 200, personal: bool = True, **values: object) -> Response:
    """A whole page. One that holds nothing personal is rendered once for the same values, all of them hashable.

    Browsers may keep such a page, too, if they ask again before showing it.
    """
    if personal:
        return _response(_rendered(template, mode=parts().settings.app_env, **values), status, personal)
    return answered(content(template, **values), HTML, status=status, headers={"Cache-Control": "no-cache"})


def content(template: str, **values: object) -> Content:
    """A page that holds nothing personal, rendered once for the same values; where it is kept, `page_of` sends it."""
    return _rendered_once(template, mode=parts().settings.app_env, **values)


def page_of(content: Content) -> Response:
    """A page that has been rendered, of which htmx may be given a block at the same address."""
    return answered(content, HTML, headers={"Cache-Control": "no-cache", "Vary": "Accept-Encoding, HX-Request"})


def page_or_block(template: str, name: str, *, status: int = 200, personal: bool = True, **values: object) -> Response:
    """A page; or, where htmx asks, only the block of it that is to be swapped.

    Errors are pages, which htmx shows in place of the whole one; but a form with a mistake in it (422) is a block.
    """
    is_swapped = status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.UNPROCESSABLE_ENTITY
    is_htmx = request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    if is_htmx and is_swapped:
        answer = _response(block(template, name, **values), status, personal)
    else:
        answer = page(template, status=status, personal=personal, **values)
    answer.vary.add("HX-Request")
    return answer


def block(template: str, name: str, **values: object) -> str:
    """One named block of a page. What the page sets or imports outside its blocks is not there."""
    found = _ENVIRONMENT.get_template(template)
    return "".join(found.blocks[name](found.new_context(values)))


def see_other(address: str) -> Response:
    """The answer to a form that has done its work: on to a page, so that reloading it sends nothing again."""
    return Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


def event_path(event_id: str) -> str:
    """The address of an event's page for guests."""
    return f"/ui/events/{slug(event_id)}"


def ledger_path(event_id: str) -> str:
    """The address of an event's public ledger."""
    return f"{event_path(event_id)}/ledger"


def organise_path(event_id: str) -> str:
    """The address of an event's page for organisers."""
    return f"/ui/organise/events/{slug(event_id)}"


def order_path(order_id: str, key: str) -> str:
    """The address of the page of an order. Whoever has it can see the order and cancel it."""
    return f"/ui/orders/{order_id}/{key}"


def token(event_id: str) -> str:
    """What stands for an event in names on its pages and streams: 12 hexadecimal digits."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:12]


def number(count: int) -> str:
    """A count with its thousands apart: 1,000."""
    return f"{count:,}"


def counted(count: int, one: str, many: str) -> str:
    """A count with its noun: 1 person, 2 people."""
    return f"{count:,} {one if count == 1 else many}"


def ordinal(position: int) -> str:
    """A position as people say it: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    teens = position % 100 in {11, 12, 13}
    return f"{position:,}{'th' if teens else _ENDINGS.get(position % 10, 'th')}"


def paragraphs(text: str) -> list[list[str]]:
    """The lines of each paragraph of a plain text, in which blank lines part paragraphs."""
    return [part.splitlines() for part in re.split(r"\n\s*\n", text.strip()) if part]


_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}


def _rendered(template: str, **values: object) -> str:
    return _ENVIRONMENT.get_template(template).render(values)


@lru_cache(SHARED_PAGES_KEPT)
def _rendered_once(template: str, **values: object) -> Content:
    return Content(_rendered(template, **values).encode())


def _response(text: str, status: int, personal: bool) -> Response:
    answer = Response(text, status, content_type=HTML)
    answer.headers["Cache-Control"] = "no-store" if personal else "no-cache"
    return answer


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # a template is read and compiled once
        cache_size=-1,
    )
    environment.globals.update(asset=asset, event_path=event_path, ledger_path=ledger_path, organise_path=organise_path)
    environment.filters.update(token=token, number=number, counted=counted, ordinal=ordinal, paragraphs=paragraphs)
    environment.filters["rfc3339"] = rfc3339
    environment.policies["urlize.rel"] = "nofollow noopener"
    return environment


_ENVIRONMENT: Final = _environment()
