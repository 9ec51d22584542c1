"""Small things every room needs: atomic files, progress, hashing, seeds. Standard library, numpy and tqdm only."""
