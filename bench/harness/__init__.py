"""What bench/run and bench/instructions are made of.

Guarantees: standard library only; loopback only; every process that is started is ended.
Does not know: what the figures mean for anybody; docs/benchmarks.md says how to read them.
"""
