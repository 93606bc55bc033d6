"""Operations as lines for a shell: ready to be pasted, once the variables are set that `/docs` explains."""

import json
import shlex

from webapp.web.description.operations import Answer, Operation
from webapp.web.fields import IF_MATCH

ORGANISER = '-u "admin:$PASSWORD"'
GUEST = '-H "Order-Key: $KEY"'


def lines(operation: Operation) -> tuple[str, ...]:
    """A line for each media type that the operation answers with."""
    by_media_type = {answer.media_type: answer for answer in operation.answers[::-1] if answer.status < 300}
    return tuple(_line(operation, answer) for answer in reversed(by_media_type.values()))


def _line(operation: Operation, answer: Answer) -> str:
    words = ["curl", "-s"]
    if answer.status == 204:
        words.append("-i")
    if answer.media_type == "text/event-stream":
        words.append("-N")
    if operation.method not in ("GET", "POST") or (operation.method == "POST" and not operation.body):
        words += ["-X", operation.method]
    if operation.who in ("organiser", "password"):
        words.append(ORGANISER)
    if operation.who == "guest":
        words.append(GUEST)
    if IF_MATCH in operation.headers:
        words.append("-H 'If-Match: *'")
    if answer.media_type == "text/csv":
        words.append("-H 'Accept: text/csv'")
    if operation.body:
        words += ["--json", shlex.quote(json.dumps(dict(operation.body.shown), ensure_ascii=False))]
    return " ".join([*words, f'"$FAIRLIST{_path(operation)}"'])


def _path(operation: Operation) -> str:
    path = operation.path
    for part in operation.path_parts:
        path = path.replace(f"{{{part.name}}}", f"${part.variable}" if part.variable else part.example)
    return path
