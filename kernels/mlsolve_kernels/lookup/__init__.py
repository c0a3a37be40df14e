"""What codes mean, looked up in a table; as one reads pictures, on the CPU alone."""
