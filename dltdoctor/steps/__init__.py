"""Values: what a repair does, what must hold before and after, and what takes it back."""
