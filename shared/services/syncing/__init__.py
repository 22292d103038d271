"""From Gmail's history to recorded messages (SPEC M, T, W)."""
