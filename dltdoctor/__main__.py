"""`python -m dltdoctor` and the console script."""

import sys


def main() -> None:
    """Run the command line; `--version` answers before anything is imported."""
    if sys.argv[1:] == ["--version"]:
        from dltdoctor import __version__  # noqa: PLC0415

        sys.stdout.write(f"dltdoctor {__version__}\n")
        return
    from dltdoctor.cli import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
