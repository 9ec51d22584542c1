"""Everything that a run leaves, as hashes: equal for equal runs, however often they were interrupted."""

from __future__ import annotations

import hashlib
import pickle

import torch

from ganlab.training.checkpoint import checkpoint_path, load_checkpoint, saved_steps


def digest(folder):
    """Everything a run leaves that must not depend on interruptions."""
    names = ["generator.safetensors", "metrics.jsonl"]
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    for path in sorted((folder / "samples").iterdir()):
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    last = max(saved_steps(folder / "checkpoints"))
    state = load_checkpoint(checkpoint_path(folder / "checkpoints", last), torch.device("cpu"))
    files["state"] = hashlib.sha256(pickle.dumps(leaves(state))).hexdigest()
    return files


def leaves(value):
    if isinstance(value, dict):
        return {str(key): leaves(item) for key, item in value.items()}
    if isinstance(value, list):
        return [leaves(item) for item in value]
    return value.contiguous().numpy().tobytes() if isinstance(value, torch.Tensor) else value
