"""The HTTP API: a table of routes, their models, the OpenAPI document."""
