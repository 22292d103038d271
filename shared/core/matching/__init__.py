"""Where an email is recorded, or by which rule it is not (rules M, T, B)."""
