"""Random recurrent models for the suite and scripts/fuzz.

A model is plain data (stack.py, pair.py), drawn by stack_draw and Pair's own strategy, written as
Keras code (stack_code, layer_code, pair_code), built by running that code (build), exported and
compared (check), and made smaller where it fails (reduce, failures).
"""
