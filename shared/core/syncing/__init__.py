"""One mailbox's work: history, lease, failures, what is due (rules W, E)."""
