"""From findings to cures: each room plans the steps for its kind of sickness, and says what it cannot promise."""
