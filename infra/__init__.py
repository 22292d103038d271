"""Deployment (terraform/) and the system on one machine (local/)."""
