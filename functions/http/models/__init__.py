"""What the API takes and answers, by resource: the shapes of the contract.

Names of classes are those of the OpenAPI document.
"""
