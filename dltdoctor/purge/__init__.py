"""What purging a working dir would lose, and what dlt would restore after it."""
