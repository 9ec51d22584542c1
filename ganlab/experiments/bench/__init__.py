"""`ganlab bench`: what this machine does in a second, held against what its arithmetic allows."""
