"""The store: one contract, several engines."""
