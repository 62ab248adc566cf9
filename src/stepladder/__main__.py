"""``python -m stepladder`` is ``stepladder``."""

from stepladder.cli import main

if __name__ == "__main__":
    main()
