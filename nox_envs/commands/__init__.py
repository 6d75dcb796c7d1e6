"""The commands of `nox-envs`: a module each, with `NAME`, `add_arguments` and `run`."""
