"""``python -m ganlab``, also for ``torchrun -m ganlab train ...``."""

from __future__ import annotations

from ganlab.cli import main

if __name__ == "__main__":
    main()
