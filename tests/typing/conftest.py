"""What is here to be type-checked is not to be run."""

collect_ignore = ["api.py"]
