"""A user's Gmail account: connected, shared, moved, ended (rules C)."""
