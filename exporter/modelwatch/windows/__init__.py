"""Counts over a window, whatever they come from: the store's intervals, or a batch that somebody hands over."""
