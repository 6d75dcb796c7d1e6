"""Upgrades: which are there, which pass together, and how they are written down."""
