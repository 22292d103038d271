"""Use cases: the order of steps and the transactions. Rules live in shared.core."""
