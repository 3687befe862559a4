"""Versions as numbers. Pure."""

Release = tuple[int, ...]


def release(version: str | None) -> Release | None:
    """The first three parts of a version; None for what does not start with plain numbers, e.g. a branch."""
    parts = (version or "").split(".")[:3]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else None
