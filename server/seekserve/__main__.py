import sys


def main() -> None:
    """`ready` alone goes its own short way; every other verb is the command line's."""
    if sys.argv[1:] == ["ready"]:
        from seekserve import readiness

        sys.exit(readiness.main())
    from seekserve import cli

    cli.main()


if __name__ == "__main__":
    main()
