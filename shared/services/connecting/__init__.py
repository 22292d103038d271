"""A user's Gmail account: connected, shared, moved, ended (SPEC C)."""
