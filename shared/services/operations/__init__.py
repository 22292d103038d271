"""What the operator asks and mends (rules E)."""
