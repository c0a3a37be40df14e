"""The whole objective of one target seen through N layers, its gradient, and the iteration on it."""
