"""Entry point of `python -m include.ingest`."""

from include.ingest.cli import main

if __name__ == "__main__":
    main()
