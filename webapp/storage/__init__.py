"""The only place with SQL: the stores, and the migrations, backups and the lock of the SQLite file."""
