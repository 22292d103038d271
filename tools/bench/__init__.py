"""Benchmarks (`make bench`): how fast, how big, and where the time goes.

Three programs do the same work, side by side: the product; the floor, which makes the
product's own calls again with the same clients and nothing in between; and the way that
tutorials show. Nothing here is part of the product.
"""
