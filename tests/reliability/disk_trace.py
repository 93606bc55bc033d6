"""What a server does to its disk, in order, as strace saw it: and when it says something, and to whom.

A line of the trace is a moment. What a call does to a file may happen from the line where it begins; it is certain from
the line where it returns. Calls outside the folder that is watched are left out.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 60.0

CALLS: Final = (
    "accept4", "close", "fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "mkdirat", "openat", "pwrite64",
    "pwritev", "rename", "renameat", "renameat2", "rmdir", "sendmsg", "sendto", "unlink", "unlinkat", "write", "writev",
)  # fmt: skip


def under_trace(file: Path) -> Sequence[str]:
    """The words that run a program so that its calls are noted at the end of a file; its process stays its parent's."""
    options = ("-D", "-A", "-f", "--seccomp-bpf", "-yy", "-xx", "-s", "9999999", "-o", str(file))
    chosen = ("quiet=attach,personality,superseded", "signal=kill", f"trace={','.join(CALLS)}")
    return ("strace", *options, *(word for choice in chosen for word in ("-e", choice)))


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes of a file, from an offset on."""

    began: int
    ended: int
    file: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The length that a file was given."""

    began: int
    ended: int
    file: int
    length: int


@dataclass(frozen=True, slots=True)
class Named:
    """A name that leads to a file or a folder from now on, or to nothing; a renamed one's old name goes with it."""

    began: int
    ended: int
    path: str
    file: int | None
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Synced:
    """A file's content, or a folder's names, were made to last."""

    began: int
    ended: int
    file: int


@dataclass(frozen=True, slots=True)
class Met:
    """A client, known by his port, was let in."""

    began: int
    ended: int
    port: int


@dataclass(frozen=True, slots=True)
class Told:
    """Something was said: to a client, or on the standard output, whose port is 0."""

    began: int
    ended: int
    port: int
    content: bytes


Step = Wrote | Cut | Named | Synced | Met | Told


@dataclass(slots=True)
class _Open:
    file: int
    offset: int = 0


@dataclass(slots=True)
class _Call:
    began: int
    ended: int
    name: str
    arguments: str
    result: str

    @property
    def number(self) -> int:
        return int(self.result.split("<")[0].split()[0])

    @property
    def descriptor(self) -> int:
        return int(self.arguments.split("<")[0])

    @property
    def strings(self) -> list[bytes]:
        return [_plain(text) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.arguments)]

    @property
    def paths(self) -> list[str]:
        """The paths that are named, from the root."""
        found = re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"', self.arguments)
        return [str(Path("/") / _plain(folder).decode() / _plain(name).decode()) for folder, name in found]


@dataclass
class Tracing:
    """Follows the trace of several lives of a process, one after the other, over one folder.

    Files have numbers; the folder itself is 0. `is_folder` tells of each whether it is a folder, `were_there` of those
    that nobody made in the trace what is in them; all that was there before lasts.
    """

    root: Path
    steps: list[Step] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    is_folder: list[bool] = field(default_factory=lambda: [True])
    were_there: dict[str, bytes] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)  # the moments at which processes ended
    _open: dict[int, _Open] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names[str(self.root)] = 0

    def found(self) -> None:
        """Take what is in the folder now as given."""
        for path in sorted(self.root.rglob("*")):
            self.is_folder.append(path.is_dir())
            self.names[str(path)] = len(self.is_folder) - 1
            self.were_there[str(path)] = b"" if path.is_dir() else path.read_bytes()

    def follow(self, file: Path) -> None:
        """Go through a trace."""
        for call in _calls(file):
            if isinstance(call, int):
                self._open.clear()
                self.ends.append(call)
            elif not call.result.startswith(("-1", "?")):
                self._follow(call)
        self.steps.sort(key=lambda step: step.ended if isinstance(step, Synced) else step.began)

    def _follow(self, call: _Call) -> None:
        match call.name:
            case "openat":
                self._opened(call)
            case "close":
                self._open.pop(call.descriptor, None)
            case "accept4":
                if port := re.search(r"->[\d.]+:(\d+)\]>", call.result):
                    self._step(Met(call.began, call.ended, int(port[1])))
            case "pwrite64" | "pwritev" | "write" | "writev" | "sendto" | "sendmsg":
                self._wrote(call)
            case "ftruncate":
                if file := self._open.get(call.descriptor):
                    self._step(Cut(call.began, call.ended, file.file, int(call.arguments.rpartition(", ")[2])))
            case "fsync" | "fdatasync":
                if file := self._open.get(call.descriptor):
                    self._step(Synced(call.began, call.ended, file.file))
            case _:
                self._renamed(call)

    def _opened(self, call: _Call) -> None:
        (path,) = call.paths
        if not self._is_inside(path):
            return
        if path not in self.names:
            if not Path(path).name or "O_CREAT" not in call.arguments:
                return
            self._name(call, path, self._new(is_folder=False))
        file = self.names[path]
        self._open[call.number] = _Open(file)
        if "O_TRUNC" in call.arguments:
            self._step(Cut(call.began, call.ended, file, 0))

    def _wrote(self, call: _Call) -> None:
        descriptor, content = call.descriptor, b"".join(call.strings)[: call.number]
        if call.name.startswith("p"):
            if file := self._open.get(descriptor):
                offset = int(call.arguments.rpartition(", ")[2])
                self._step(Wrote(call.began, call.ended, file.file, offset, content))
        elif file := self._open.get(descriptor):
            self._step(Wrote(call.began, call.ended, file.file, file.offset, content))
            file.offset += len(content)
        elif client := re.match(r"\d+<TCP:\[\S+->[\d.]+:(\d+)\]>", call.arguments):
            self._step(Told(call.began, call.ended, int(client[1]), content))
        elif descriptor == 1:
            self._step(Told(call.began, call.ended, 0, content))

    def _renamed(self, call: _Call) -> None:
        paths = call.paths
        if not all(self._is_inside(path) for path in paths):
            return
        match call.name, paths:
            case (("unlink" | "unlinkat" | "rmdir"), [path]):
                self._name(call, path, None)
            case (("mkdir" | "mkdirat"), [path]):
                self._name(call, path, self._new(is_folder=True))
            case (("link" | "linkat"), [path, other]):
                self._name(call, other, self.names[path])
            case (("rename" | "renameat" | "renameat2"), [path, other]):
                file = self.names.pop(path)
                self.names[other] = file
                self._step(Named(call.began, call.ended, other, file, path))
            case _:
                raise AssertionError(f"nobody knows what this does: {call}")

    def _name(self, call: _Call, path: str, file: int | None) -> None:
        self._step(Named(call.began, call.ended, path, file))
        if file is None:
            del self.names[path]
        else:
            self.names[path] = file

    def _new(self, *, is_folder: bool) -> int:
        self.is_folder.append(is_folder)
        return len(self.is_folder) - 1

    def _is_inside(self, path: str) -> bool:
        return Path(path).is_relative_to(self.root)

    def _step(self, step: Step) -> None:
        self.steps.append(step)


def wait_for_end(file: Path, process: int) -> None:
    """Wait until the trace has all that a process did, which has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    end = re.compile(rb"^%d +\+\+\+ [^\n]*\n" % process, re.MULTILINE)
    while not end.search(file.read_bytes()):
        assert time.monotonic() < deadline, "the trace does not end"
        time.sleep(0.01)


def _calls(file: Path) -> Iterator[_Call | int]:
    """The calls in the order in which they returned, and the moments at which processes ended."""
    begun = defaultdict[str, list[tuple[int, str]]](list)
    first = None
    with file.open(encoding="ascii", errors="replace") as lines:
        for moment, line in enumerate(lines):
            thread, _, told = line.rstrip("\n").partition(" ")
            told = told.lstrip()
            first = first or thread
            if told.startswith("+++"):
                yield from _cut_short(begun.pop(thread, []), moment)
                if thread == first:
                    first = None
                    yield moment
            elif told.endswith("<unfinished ...>"):
                begun[thread].append((moment, told.removesuffix("<unfinished ...>")))
            elif told.startswith("<... "):
                began, start = begun[thread].pop()
                yield _call(began, moment, start + told.partition(" resumed>")[2])
            elif "(" in told:
                yield _call(moment, moment, told)


def _cut_short(begun: Sequence[tuple[int, str]], moment: int) -> Iterator[_Call]:
    """Calls that a kill let never return: what they would have written may be there."""
    for began, start in begun:
        name, _, arguments = start.partition("(")
        if name in ("pwrite64", "write"):
            length = sum(len(text) // 4 for text in re.findall(r'"([^"]*)"', arguments))
            yield _Call(began, moment, name, arguments.rstrip(" )"), str(length))


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _call(began: int, ended: int, told: str) -> _Call:
    head, _, result = told.rpartition(" = ")
    if result.startswith(("-1", "?")) or head:
        name, _, arguments = head.rstrip().removesuffix(")").partition("(")
        return _Call(began, ended, name, arguments, result)
    raise AssertionError(f"a line of the trace that nobody understands: {told[:200]}")
