"""From Gmail's history to recorded messages (rules M, T, W)."""
