"""`python -m include.local`: the command line."""

from include.local.cli import main

if __name__ == "__main__":
    main()
