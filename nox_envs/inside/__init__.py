"""Looking inside: what environments hold, how they differ, and which can go."""
