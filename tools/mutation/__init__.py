"""Mutation testing of `shared/core`: would the tests notice if the code were wrong?"""
