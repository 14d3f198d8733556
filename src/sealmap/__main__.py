"""``python -m sealmap`` is ``sealmap``."""

from sealmap.cli.main import main

if __name__ == "__main__":
    main()
