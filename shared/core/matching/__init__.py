"""Where an email is recorded, or by which rule it is not (SPEC M, T, B)."""
