"""What decides: classifiers with scikit-learn's interface, one function or class a detector."""
