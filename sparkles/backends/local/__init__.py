"""The local backend: SQLite, a directory, and one worker process."""
