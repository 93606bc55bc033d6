"""Tests of the codes on tickets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.web.ticket_codes import TicketCodes, code_in, id_prefix

CODES = TicketCodes(bytes(32))
ORDER_IDS = st.text("0123456789abcdef", min_size=20, max_size=20)


@given(ORDER_IDS)
def test_a_code_leads_back_to_its_order(order_id: str) -> None:
    code = CODES.code(order_id)
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", code)
    assert code_in(code) == code
    assert order_id.startswith(id_prefix(code))
    assert CODES.fits(order_id, code)


def test_what_everybody_knows_of_an_order_is_not_its_code() -> None:
    order_id = "0123456789abcdef0123"
    assert TicketCodes(b"another secret of thirty-two byte").code(order_id)[:9] == CODES.code(order_id)[:9]
    assert TicketCodes(b"another secret of thirty-two byte").code(order_id) != CODES.code(order_id)
    assert CODES.code("0123456789abcdef0124")[10:] != CODES.code(order_id)[10:]


@pytest.mark.parametrize(
    "typed",
    [
        "04HM-ASW9-K3T0",
        " 04hm asw9 k3to ",
        "O4HMASW9K3T0",
        "https://example.org/ui/organise/tickets/04HM-ASW9-K3T0",
        "http://localhost:3000/ui/organise/tickets/04hm-asw9-k3t0/",
    ],
)
def test_a_code_is_read_however_it_is_written(typed: str) -> None:
    assert code_in(typed) == "04HM-ASW9-K3T0"


@pytest.mark.parametrize("typed", ["", "Cleo", "04HM-ASW9", "04HM-ASW9-K3T0-1", "04HM-ASW9-K3TU", "04HM--ASW9-K3T0"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert code_in(typed) is None
