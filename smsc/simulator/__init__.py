"""A carrier to test and demonstrate with."""
