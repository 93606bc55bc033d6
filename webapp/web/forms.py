"""Forms as people fill them in: what was typed is kept, and what is wrong with it is said in their words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from webapp.web.parsing import ID_LENGTH_MAX, TICKETS_MAX, InvalidInput

UNUSABLE: Final = f"Please use at most {ID_LENGTH_MAX} characters, all of them visible."

BLANK: Final = {
    "userId": "Please enter a name.",
    "tickets": "Please say how many tickets there are.",
    "name": "Please enter a name.",
    "email": "Please enter an e-mail address.",
    "ticket": "Please enter a code or a name.",
}
WRONG: Final = {
    "userId": UNUSABLE,
    "name": "Please use at most 200 characters, all of them visible.",
    "q": "Please look for at most 200 characters, all of them visible.",
    "ticket": "Please look for at most 200 characters, all of them visible.",
    "gate": "Please call the gate by at most 50 characters, all of them visible.",
    "reason": "Please use at most 500 characters, all of them visible.",
    "email": "Please enter an address such as cleo@example.org.",
    "tickets": f"Please enter a whole number from 0 to {TICKETS_MAX:,}.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A form as somebody left it: by field name what was typed and what is wrong with it; `problem` with the whole."""

    typed: Mapping[str, str] = field(default_factory=dict)
    mistakes: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_mistaken(self) -> bool:
        """Whether it is shown again for something to be mended."""
        return bool(self.mistakes or self.problem)


EMPTY: Final = Form()


def mistaken(typed: Mapping[str, str], invalid: InvalidInput) -> Form:
    """The form to show again, with a sentence for each field at fault."""
    typed = {name: text.strip() for name, text in typed.items()}
    names = [problem.pointer.removeprefix("/") for problem in invalid.problems]
    return Form(typed, {name: (WRONG if typed.get(name) else BLANK)[name] for name in names})
