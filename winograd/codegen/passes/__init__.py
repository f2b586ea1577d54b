"""Passes that make programs cheaper, one a file. Each keeps the exact result."""
