"""Worker: the program on a node. Claim, stage in, run, publish, finish.

`loop` is the one thread that writes state; `attempt` is what each slot does; `outputs` finds what a task left.
"""
