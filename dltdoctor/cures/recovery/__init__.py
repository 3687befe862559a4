"""What dlt's own load packages can bring back: which of them count, how they are replayed, what that changes."""
