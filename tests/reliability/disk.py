"""What a disk may hold after a power cut, by what was written to it and when it was synced.

What was synced is there. Of all else, each write may be there or not, whatever the others are, or in part: up to some
byte, from some byte on, or sector by sector the new bytes, the old ones, zeros or rubbish. Names last once their folder
was synced; before, each may be as it was. Bytes beside a write never suffer: SQLite takes that for granted (its
documentation calls it powersafe overwrite), and so do all the disks of today.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.reliability.disk_trace import Cut, Named, Step, Synced, Wrote

SECTOR: Final = 512


@dataclass(slots=True)
class File:
    """A file: what lasts of it, and what was done to it since."""

    lasting: bytearray = field(default_factory=bytearray)
    pending: list[Wrote | Cut] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a power cut treats what was not synced: all of it, what came first, or whatever chance picks.

    Of what is `torn`, parts are kept.
    """

    chance: random.Random
    kept: float
    torn: float
    in_order: bool

    @classmethod
    def by(cls, chance: random.Random) -> "Choice":
        """Any choice; the extreme ones often."""
        return cls(
            chance, chance.choice((0.0, 0.1, 0.5, 0.9, 1.0)), chance.choice((0.0, 0.3, 1.0)), chance.random() < 0.3
        )

    def of(self, number: int) -> Iterator[bool]:
        """Which of so many pending changes have happened, from the first to the last."""
        if self.in_order:
            whole = round(number * self.kept) if self.kept in (0.0, 1.0) else self.chance.randint(0, number)
            yield from (place < whole for place in range(number))
        else:
            yield from (self.chance.random() < self.kept for _ in range(number))

    def is_torn(self) -> bool:
        """Whether a write that is to be kept comes in part."""
        return self.chance.random() < self.torn


class Disk:
    """The files of a folder while a trace goes by; `root` is its path, `found` what was there when the trace began."""

    def __init__(self, root: Path, kinds: Sequence[bool], found: Mapping[str, bytes]) -> None:
        self._root = root
        self._is_folder = kinds
        self._files = [File() for _ in kinds]
        self._lasting_names = {str(root): 0}
        self._pending_names: list[Named] = []
        for number, (path, content) in enumerate(found.items(), start=1):
            self._lasting_names[path] = number
            self._files[number].lasting += content

    def follow(self, step: Step) -> None:
        """Let a step happen."""
        match step:
            case Wrote() | Cut():
                self._files[step.file].pending.append(step)
            case Named():
                self._pending_names.append(step)
            case Synced() if self._is_folder[step.file]:
                self._sync_names(step)
            case Synced():
                self._sync(step)

    def image(self, folder: Path, choice: Choice) -> None:
        """Write into an empty folder what the disk may hold, were the power cut now."""
        names = dict(self._lasting_names)
        for change, happened in zip(self._pending_names, choice.of(len(self._pending_names)), strict=True):
            if happened:
                _rename(names, change)
        contents: dict[int, bytearray] = {}  # one for all names of a file
        for path, number in sorted(names.items()):
            place = folder / Path(path).relative_to(self._root)
            if not place.parent.is_dir():
                continue  # the folder that it was in is gone
            if self._is_folder[number]:
                place.mkdir(exist_ok=True)
            else:
                if number not in contents:
                    contents[number] = self._content(self._files[number], choice)
                    if path.endswith("-shm"):  # it is written through memory, which no trace shows
                        contents[number][:] = choice.chance.randbytes(len(contents[number]))
                place.write_bytes(contents[number])

    def _content(self, file: File, choice: Choice) -> bytearray:
        content = bytearray(file.lasting)
        for change, happened in zip(file.pending, choice.of(len(file.pending)), strict=True):
            if not happened:
                continue
            if isinstance(change, Wrote) and choice.is_torn():
                _tear(content, change, choice.chance)
            else:
                _apply(content, change)
        return content

    def _sync(self, sync: Synced) -> None:
        file = self._files[sync.file]
        for change in file.pending:
            if change.ended < sync.began:
                _apply(file.lasting, change)
        file.pending = [change for change in file.pending if change.ended >= sync.began]

    def _sync_names(self, sync: Synced) -> None:
        folders = {path for path, number in self._all_names() if number == sync.file}
        still = []
        for change in self._pending_names:
            if change.ended < sync.began and str(Path(change.path).parent) in folders:
                _rename(self._lasting_names, change)
            else:
                still.append(change)
        self._pending_names = still

    def _all_names(self) -> Iterator[tuple[str, int | None]]:
        """Every name with what it has led to, whether or not it lasts."""
        yield from self._lasting_names.items()
        yield from ((change.path, change.file) for change in self._pending_names)


def _rename(names: dict[str, int], change: Named) -> None:
    if change.file is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.file
    if change.instead_of is not None:
        names.pop(change.instead_of, None)


def _apply(content: bytearray, change: Wrote | Cut) -> None:
    if isinstance(change, Cut):
        del content[change.length :]
        content.extend(bytes(change.length - len(content)))
    else:
        _put(content, change.offset, change.content)


def _put(content: bytearray, offset: int, written: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(written)] = written


def _tear(content: bytearray, change: Wrote, chance: random.Random) -> None:
    """Put a part of what was written into a file."""
    written, offset = change.content, change.offset
    somewhere = chance.randint(0, len(written))
    match chance.choice(("head", "tail", "sectors")):
        case "head":
            _put(content, offset, written[:somewhere])
        case "tail":
            _put(content, offset + somewhere, written[somewhere:])
        case _:
            start = 0
            while start < len(written):
                end = min(len(written), start + SECTOR - (offset + start) % SECTOR)
                _put_sector(content, offset + start, written[start:end], chance)
                start = end


def _put_sector(content: bytearray, offset: int, written: bytes, chance: random.Random) -> None:
    match chance.choice(("new", "new", "old", "zeros", "rubbish")):
        case "new":
            _put(content, offset, written)
        case "zeros":
            _put(content, offset, bytes(len(written)))
        case "rubbish":
            _put(content, offset, chance.randbytes(len(written)))
