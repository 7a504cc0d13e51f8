"""One file a runtime, behind the interface in base.py; registry.py names them."""
