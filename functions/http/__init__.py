"""The HTTP API of SPEC §4: a table of routes, their models, the OpenAPI document."""
