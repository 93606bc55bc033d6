"""What a power cut may leave, on hand-made traces."""

import random
from pathlib import Path

import pytest

from tests.reliability.disk import Choice, Disk
from tests.reliability.disk_trace import Cut, Named, Step, Synced, Told, Tracing, Wrote

ROOT = Path("/served")
FOLDER, FILE, OTHER = 0, 1, 2
KINDS = (True, False, False)
MADE = Named(0, 0, "/served/file", FILE)
SEEDS = range(200)


def left(tmp_path: Path, steps: list[Step], found: dict[str, bytes] | None = None) -> set[frozenset[tuple[str, bytes]]]:
    """Everything that there may be behind these steps: the names of files, with what is in them."""
    all_left = set()
    for seed in SEEDS:
        disk = Disk(ROOT, KINDS, found or {})
        for step in steps:
            disk.follow(step)
        image = tmp_path / str(seed)
        image.mkdir(parents=True)
        disk.image(image, Choice.by(random.Random(seed)))
        all_left.add(frozenset((path.name, path.read_bytes()) for path in image.iterdir()))
    return all_left


def contents(tmp_path: Path, steps: list[Step], before: bytes = b"") -> set[bytes]:
    """All that there may be in a file that was there."""
    return {content for names in left(tmp_path, steps, {"/served/file": before}) for _, content in names}


def test_what_was_synced_is_there_and_nothing_else(tmp_path: Path) -> None:
    steps: list[Step] = [Wrote(1, 1, FILE, 0, b"first"), Cut(2, 2, FILE, 3), Synced(3, 3, FILE)]
    assert contents(tmp_path, steps) == {b"fir"}


def test_what_was_not_synced_may_be_there_or_not_in_any_order(tmp_path: Path) -> None:
    found = contents(tmp_path, [Wrote(1, 1, FILE, 0, b"a"), Wrote(2, 2, FILE, 1, b"b")])
    assert {b"", b"a", b"ab", b"\0b"} <= found


def test_a_cut_that_was_not_synced_may_come_without_what_was_written_before_it(tmp_path: Path) -> None:
    found = contents(tmp_path, [Wrote(1, 1, FILE, 0, b"new"), Cut(2, 2, FILE, 1)], b"old")
    assert {b"old", b"new", b"o", b"n"} <= found


def test_a_write_may_be_torn_at_any_byte_and_in_every_sector(tmp_path: Path) -> None:
    written = bytes([1]) * 512 + bytes([2]) * 512
    found = contents(tmp_path, [Wrote(1, 1, FILE, 0, written)], bytes([9]) * 1024)
    assert {written, bytes([9]) * 1024, bytes([9]) * 512 + written[512:], written[:512] + bytes([9]) * 512} <= found
    assert any(0 < content.count(1) < 512 for content in found)
    assert any(content.startswith(bytes(512)) for content in found)
    assert any(not set(content[:512]) <= {0, 1, 9} for content in found)


def test_nothing_beside_a_torn_write_suffers(tmp_path: Path) -> None:
    before = bytes([9]) * 2048
    found = contents(tmp_path, [Wrote(1, 1, FILE, 100, bytes([1]) * 1000)], before)
    assert all((content[:100], content[1100:]) == (before[:100], before[1100:]) for content in found)


def test_a_sync_says_nothing_of_a_write_that_returned_after_it_began(tmp_path: Path) -> None:
    assert b"" in contents(tmp_path, [Wrote(1, 4, FILE, 0, b"late"), Synced(3, 5, FILE)])
    assert contents(tmp_path / "again", [Wrote(1, 4, FILE, 0, b"late"), Synced(6, 7, FILE)]) == {b"late"}


def test_a_sync_of_one_file_says_nothing_of_another(tmp_path: Path) -> None:
    names = left(
        tmp_path, [Wrote(1, 1, FILE, 0, b"x"), Synced(2, 2, OTHER)], {"/served/file": b"", "/served/other": b""}
    )
    assert any(("file", b"") in files for files in names)


def test_a_name_lasts_once_its_folder_was_synced(tmp_path: Path) -> None:
    assert left(tmp_path, [MADE, Synced(1, 1, FILE)]) == {frozenset(), frozenset({("file", b"")})}
    assert left(tmp_path / "again", [MADE, Synced(1, 1, FOLDER)]) == {frozenset({("file", b"")})}


def test_a_name_that_was_removed_may_come_back(tmp_path: Path) -> None:
    names = left(tmp_path, [Named(1, 1, "/served/file", None)], {"/served/file": b"x"})
    assert names == {frozenset(), frozenset({("file", b"x")})}


def test_a_file_that_takes_the_place_of_another_does_so_at_once(tmp_path: Path) -> None:
    before = {"/served/file": b"old", "/served/other": b"new"}
    names = left(tmp_path, [Named(1, 1, "/served/file", OTHER, "/served/other")], before)
    assert names == {frozenset({("file", b"new")}), frozenset({("file", b"old"), ("other", b"new")})}


LINES = r"""
7 openat(AT_FDCWD<{root}>, "{file}", O_RDWR|O_CREAT, 0600) = 5<{file}>
7 pwrite64(5<{file}>, "\x61\x62\x63", 3, 10 <unfinished ...>
8 fdatasync(5<{file}> <unfinished ...>
7 <... pwrite64 resumed>) = 2
8 <... fdatasync resumed>) = 0
7 pwrite64(5<{file}>, "\x61", 1, 0) = -1 EIO (Input/output error) (INJECTED)
7 write(9<TCP:[127.0.0.1:80->127.0.0.1:4711]>, "\x48\x69", 2) = 2
7 ftruncate(5<{file}>, 4) = 0
7 unlink("{file}") = 0
8 +++ killed by SIGKILL +++
7 +++ killed by SIGKILL +++
"""


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(LINES.lstrip().replace("{root}", hexed("/served")).replace("{file}", hexed("/served/file")))
    tracing = Tracing(ROOT)
    tracing.follow(trace)
    assert tracing.steps == [
        Named(0, 0, "/served/file", 1), Wrote(1, 3, 1, 10, b"ab"), Synced(2, 4, 1), Told(6, 6, 4711, b"Hi"),
        Cut(7, 7, 1, 4), Named(8, 8, "/served/file", None),
    ]  # fmt: skip
    assert (tracing.is_folder, tracing.ends) == ([True, False], [10])


def test_a_line_that_nobody_understands_is_not_passed_over(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(f'7 symlink("{hexed("/served/file")}", "{hexed("/served/other")}") = 0\n')
    with pytest.raises(AssertionError, match="symlink"):
        Tracing(ROOT).follow(trace)


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())
