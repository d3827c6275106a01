"""Block programs -> the text of a torch module whose work is done by Triton kernels.

    Program --lower--> Tiles --order--> statements --print--> kernels of one module

A program speaks of all batch entries and heads; a kernel's instance works on one, so its values are *tiles*: real, in
float32, over time and axes only. What has no counterpart in registers is taken apart on the way: complex numbers
into two
tiles, rank-one terms into a tile each.
"""
