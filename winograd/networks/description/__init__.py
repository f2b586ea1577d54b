"""What a network is, in numbers: its layers with their shapes, parameters, multiplications and memory; and drawn."""
