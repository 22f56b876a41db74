"""Programs in blocks: values that are larger than all that is given are never held whole.

`stages` decides which values are computed in blocks along which axis, and in how many sweeps; `cut` makes a program of
its own of each step. Both work on graphs and know nothing of torch.
"""
