"""``python -m ganlab.cli``, for ``torchrun -m ganlab.cli train ...``."""

from __future__ import annotations

from ganlab.cli.app import main

if __name__ == "__main__":
    main()
