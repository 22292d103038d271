"""Thin adapters to the outside. They translate shapes and errors and hold no rules."""
