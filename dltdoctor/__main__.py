"""`python -m dltdoctor` and the console script."""

import gc
import sys

# Nearly all that is read lives to the end: looking for garbage in it by Python's default took a quarter of the time.
GC_THRESHOLDS = (100_000, 20, 20)


def main() -> None:
    """Run the command line; `--version` answers before anything is imported."""
    if sys.argv[1:] == ["--version"]:
        from dltdoctor import __version__  # noqa: PLC0415

        sys.stdout.write(f"dltdoctor {__version__}\n")
        return
    gc.set_threshold(*GC_THRESHOLDS)
    from dltdoctor.cli import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
