"""One mailbox's work: history, lease, failures, what is due (SPEC W, E)."""
