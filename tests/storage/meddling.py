"""Change what is in a database as neither a server nor SQLite would let anybody: past triggers, checks and types."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

EVERYTHING: Final = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"


def meddle(database: Path, script: str) -> None:
    """Run a script over it, and leave its schema as it was.

    A value may then be of a type that its column cannot have, as after one bit of a row has flipped.
    """
    with closing(sqlite3.connect(database)) as connection:
        triggers = connection.execute(f"{EVERYTHING} AND type = 'trigger'").fetchall()
        tables = connection.execute(f"{EVERYTHING} AND type = 'table'").fetchall()
        loose = "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ') ') WHERE type = 'table'"
        connection.executescript("".join(f"DROP TRIGGER {name};" for name, _ in triggers))
        connection.executescript(f"PRAGMA writable_schema = ON; {loose}; PRAGMA writable_schema = RESET")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA ignore_check_constraints = ON; {script};")
        connection.execute("PRAGMA writable_schema = ON")
        for name, sql in tables:
            connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, name))
        connection.execute("PRAGMA writable_schema = RESET")
        connection.executescript("".join(f"{sql};" for _, sql in triggers))
