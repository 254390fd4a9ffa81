"""`penstock` and `python -m penstock`: hand argv to the command line and turn errors into exit codes."""

import sys


def main() -> None:
    """Run the command line and exit."""
    from penstock import cli

    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
