"""Trained generators into fake datasets with a manifest."""

from __future__ import annotations

from ganlab.generation.generate import generate
from ganlab.generation.plan import Request
from ganlab.generation.sampling import generate_images
from ganlab.generation.sources import run_name
from ganlab.generation.verify import verify_set

__all__ = ["Request", "generate", "generate_images", "run_name", "verify_set"]
