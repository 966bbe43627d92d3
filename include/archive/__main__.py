"""Entry point of `python -m include.archive`."""

from include.archive.cli import main

if __name__ == "__main__":
    main()
