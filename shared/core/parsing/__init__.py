"""Mail as it comes, and its parts: read without trusting a byte of it."""
