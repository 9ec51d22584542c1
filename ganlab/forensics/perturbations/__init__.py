"""What happens to images on their way: noise, blur, JPEG, geometry. Deterministic for every (seed, index)."""
