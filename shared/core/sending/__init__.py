"""Mail that goes out: how it is written, what it answers, when it is done (rules S)."""
