import os
import sys


def main() -> None:
    """`ready` alone goes its own short way; every other verb is the command line's. As the first process
    of a container it has a child that serves, and looks after it.
    """
    if sys.argv[1:] == ["ready"]:
        from seekserve import readiness

        sys.exit(readiness.main())
    if os.getpid() == 1:
        from seekserve import shepherd

        shepherd.watch_over(_command_line)
    _command_line()


def _command_line() -> None:
    from seekserve import cli

    cli.main()


if __name__ == "__main__":
    main()
