"""Entry points: triggers of a few lines. The product is in shared/."""
