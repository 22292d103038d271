"""What the operator asks and mends (SPEC E)."""
