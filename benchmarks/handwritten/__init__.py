"""The scenarios as workflows written by hand, a module each.

Each is a module of its own because the SDK's sandbox imports the module of a workflow anew for
every run: a module with all of them would make the sandboxed variant dearer than it is.
Activities are called by name and with plain values, which costs the SDK least.
"""
