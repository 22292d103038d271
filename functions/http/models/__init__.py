"""What the API takes and answers, by resource: the shapes of SPEC §4.

Names of classes are those of the OpenAPI document.
"""
