"""Targets: printers of programs, one language a file. They produce text and do not import what they target."""
