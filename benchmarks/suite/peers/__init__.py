"""Contenders, one a file. A new one is a file here, a line in registry.py and nothing else."""
