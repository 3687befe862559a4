"""What follows from what was read: pure, and shared by checks, cures and the reading of the world."""
