"""The command `jumok`, which is `python -m jumok`: Ctrl-C ends it without a traceback, from its first moment to its last."""

import _signal as signal  # the part in C: the module `signal` imports others first, and Ctrl-C may come meanwhile
import sys


def main() -> int:
    """Runs the command line; while its modules are imported, and when all is done, Ctrl-C just ends the process."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where it is ignored, as by nohup
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jumok import cli, interrupt

    cli.prepare(sys.argv[1:])
    return interrupt.heard(cli.main) if ours else cli.main()


if __name__ == "__main__":
    sys.exit(main())
