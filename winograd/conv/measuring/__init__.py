"""Measuring: times on a noisy machine, and the answers that are kept of them."""
