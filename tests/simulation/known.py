"""Seeds that fail in the build as it is, each with the cause. Empty is the aim."""

KNOWN: dict[int, str] = {}
