"""The environment of a cell for a machine without a network: what is packed, and how."""
