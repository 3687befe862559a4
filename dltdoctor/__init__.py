"""dltdoctor finds out where the rows of a dlt pipeline went, and why."""

TYPE_CHECKING = False  # type checkers take it for typing's, whose import `--version` would pay for
if TYPE_CHECKING:
    from dltdoctor.errors import CouldNotLookError as CouldNotLookError
    from dltdoctor.errors import LoadNotVerifiedError as LoadNotVerifiedError
    from dltdoctor.verify import verify_load as verify_load

__version__ = "0.1.0"

_HOMES = {"verify_load": "verify", "LoadNotVerifiedError": "errors", "CouldNotLookError": "errors"}


def __getattr__(name: str) -> object:
    """The names of the library, each imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - only here

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
