"""The rules as pure functions over frozen data.

Nothing here does IO, reads a clock, draws a random number or logs; import-linter
enforces it (pyproject.toml).
"""
