"""`python -m harness.cli`, for where scripts are not on the path."""

from harness.cli.app import main

if __name__ == "__main__":
    main()
