"""What a detector looks at: batched functions of images, one class a feature."""
